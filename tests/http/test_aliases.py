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
