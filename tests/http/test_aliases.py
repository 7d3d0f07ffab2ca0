"""Aliases, and which version answers a score that names one."""
import base64
import json
import subprocess
import unittest

from kennel_test import COLORS, KENNEL, V1, Case, make_model, png

M = f"{V1}/models/colors"
PICTURE = png(40, 36, COLORS["red"], 99)
PNG = {"Content-Type": "image/png"}


class Aliases(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon)
        job = cls.daemon.post(f"{M}/retrain", {"seed": 2}, 202).json
        cls.daemon.wait_job(job["id"])

    def score(self, path=f"{M}/score", headers=PNG, body=PICTURE, expect=200, **more):
        return self.daemon.post(path, body, expect, {**headers, **more})

    def test_set_list_remove(self):
        self.daemon.post(f"{M}/promote", {"version": 2, "alias": "nightly", "reason": "new"}, 200)
        self.assertIn({"alias": "nightly", "version": 2}, self.daemon.get(f"{M}/aliases")["aliases"])
        self.assertIn("nightly", self.daemon.get(f"{M}/versions/2")["aliases"])
        gone = self.daemon.request("DELETE", f"{M}/aliases/nightly", expect=200).json
        self.assertEqual((gone["version"], gone["previous"]), (None, 2))
        self.refused(self.daemon.request("DELETE", f"{M}/aliases/nightly"), 404, "alias_unknown")
        self.refused(self.daemon.request("DELETE", f"{M}/aliases/production"), 409, "alias_kept")
        self.refused(self.daemon.post(f"{M}/promote", {"version": 2, "alias": "no name"}), 400, "name_syntax")
        self.assertEqual([h["cause"] for h in self.daemon.get(f"{M}/promotions")["promotions"][:2]],
                         ["remove", "promote"])

    def test_the_history_in_pages(self):
        for version in (1, 2, 1):
            self.daemon.post(f"{M}/promote", {"version": version, "alias": "paged"}, 200)
        page = lambda query: self.daemon.get(f"{M}/promotions?{query}")["promotions"]
        whole = self.daemon.get(f"{M}/promotions")["promotions"]
        self.assertEqual([h["id"] for h in whole], sorted((h["id"] for h in whole), reverse=True))
        walked, before = [], 1 << 62
        while one := page(f"limit=1&before={before}"):
            walked, before = walked + one, one[0]["id"]
        self.assertEqual(walked, whole)
        self.assertEqual([h["version"] for h in page("alias=paged")], [1, 2, 1])
        self.assertEqual(page("alias=paged&limit=2"), page("alias=paged")[:2])
        self.assertEqual(page("alias=nobody"), [])
        for query in ("limit=0", "limit=1001", "before=0", "alias=a%20b"):
            self.assertEqual(self.daemon.request("GET", f"{M}/promotions?{query}").status, 400, query)
        run = subprocess.run([KENNEL, "--url", self.daemon.url, "history", "colors", "--alias", "paged", "--limit", "2",
                              "--before", str(page("alias=paged")[0]["id"])], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual([line.split()[2:4] for line in run.stdout.splitlines()[1:]], [["paged", "2"], ["paged", "1"]])

    def test_models_in_pages(self):
        for name in ("aa", "zz"):
            self.daemon.post(f"{V1}/models", {"name": name, "dataset": "colors", "backbone": "tiny"}, 201)
        names = lambda query: [m["name"] for m in self.daemon.get(f"{V1}/models{query}")["models"]]
        self.assertEqual(names(""), ["aa", "colors", "zz"])
        self.assertEqual((names("?limit=1"), names("?limit=1&after=aa"), names("?after=aa"), names("?after=zz")),
                         (["aa"], ["colors"], ["colors", "zz"], []))
        for query in ("limit=0", "limit=1001", "after=a%20b"):
            self.assertEqual(self.daemon.request("GET", f"{V1}/models?{query}").status, 400, query)
        run = subprocess.run([KENNEL, "--url", self.daemon.url, "model", "list", "--limit", "1", "--after", "colors"],
                             capture_output=True, text=True)
        self.assertEqual([line.split()[0] for line in run.stdout.splitlines()], ["NAME", "zz"], run.stderr)

    def test_a_header_forces_a_version_on_every_route(self):
        self.daemon.post(f"{M}/promote", {"version": 2, "alias": "next"}, 200)
        data = base64.b64encode(PICTURE).decode()
        tensors = {"inputs": [{"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": [data]}]}
        routes = [(f"{M}/score", PICTURE, PNG), ("/score", {"data": data}, {}),
                  (f"{V1}/service/colors/score", {"data": data}, {}),
                  ("/v2/models/colors/infer", tensors, {}),
                  ("/v1/models/colors:predict", {"instances": [{"b64": data}]}, {})]
        for path, body, headers in routes:
            for wanted, version in ((None, "1"), ("2", "2"), ("next", "2"), ("production", "1")):
                more = {"X-Kennel-Version": wanted} if wanted else {}
                with self.subTest(path=path, wanted=wanted):
                    reply = self.score(path, headers, body, **more)
                    self.assertEqual(reply.header("X-Kennel-Version"), version)
        self.assertEqual(self.score(**{"X-Kennel-Version": "2"}).json["version"], 2)
        self.assertEqual(self.score(f"{M}/score?alias=next").json["version"], 2)
        self.assertEqual(self.score(f"{M}/versions/1/score", **{"X-Kennel-Version": "2"}).json["version"], 1)

    def test_versions_that_are_not_there(self):
        for wanted, status, code in (("9", 404, "version_unknown"), ("0", 404, "version_unknown"),
                                     ("nobody", 404, "version_unknown"), ("a b", 400, "name_syntax")):
            with self.subTest(wanted):
                self.refused(self.score(expect=None, **{"X-Kennel-Version": wanted}), status, code)
        self.refused(self.score(f"{M}/score?alias=production", expect=None, **{"X-Kennel-Version": "2"}),
                     400, "field_range")

    def test_the_command(self):
        def kennel(*words):
            run = subprocess.run([KENNEL, "--url", self.daemon.url, *words], capture_output=True, text=True)
            return run.returncode, run.stdout
        self.assertEqual(kennel("alias", "set", "colors", "tool", "2"), (0, "colors: version 2 is tool\n"))
        status, text = kennel("alias", "list", "colors", "--json")
        self.assertIn({"alias": "tool", "version": 2}, json.loads(text)["aliases"])
        self.assertEqual(kennel("alias", "remove", "colors", "tool"), (0, "colors: no version is tool\n"))
        self.assertEqual(kennel("alias", "remove", "colors", "tool")[0], 4)
        self.assertEqual(kennel("alias", "set", "colors", "tool", "two")[0], 2)


if __name__ == "__main__":
    unittest.main()
