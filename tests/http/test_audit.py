"""The log of changes: every operation that /openapi.json has and that changes something leaves a line that says who,
what, when, before and after; what changes nothing leaves none."""
import hashlib
import http.server
import threading
import unittest

from kennel_test import COLORS, V1, Case, color_files, make_model, png, tar, tiny_backbone, until

M = f"{V1}/models/colors"
PNG = {"Content-Type": "image/png"}
PICTURE = png(40, 36, COLORS["red"], 77)
WHO = {"X-Requested-By": "auditor"}

# Nothing that is kept changes: a score is answered (also where a follower tells of it), a plan is explained, an index
# is shown.
UNCHANGED = {("post", path) for path in (
    "/score", "/v2/models/{m}/infer", "/v2/models/{m}/versions/{v}/infer", "/v2/repository/index",
    "/api/v1/service/{name}/score", "/api/v1/models/{m}/score", "/api/v1/models/{m}/versions/{v}/score",
    "/api/v1/explain", "/api/v1/followers/{id}/reports",
    *(f"/v1/models/{{m}}{of}:{verb}" for of in ("", "/versions/{v}", "/labels/{l}")
      for verb in ("predict", "classify", "regress")))}


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Audit(Case):
    options = ("--webhook-allow", "loopback")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon)
        for seed in (2, 3):
            job = cls.daemon.post(f"{M}/retrain", {"seed": seed, "tags": {"n": str(seed)}}, 202).json
            cls.daemon.wait_job(job["id"])
        cls.receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=cls.receiver.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.receiver.shutdown()
        cls.receiver.server_close()
        super().tearDownClass()

    def setUp(self):
        self.seen = set()
        self.key = {}

    def lines(self, after=0):
        reply = self.daemon.request("GET", f"{V1}/audit?limit=1000", headers=self.key, expect=200)
        return [one for one in reply.json["audit"] if one["id"] > after]

    def change(self, method, template, what, body=None, before=False, after=True, expect=None, headers=None, query="",
               subject=None, **names):
        """One request of that operation, and the line that it left."""
        self.seen.add((method, template))
        path = template
        for name, value in names.items():
            path = path.replace("{" + name + "}", str(value))
        last = max((one["id"] for one in self.lines()), default=0)
        reply = self.daemon.request(method.upper(), path + query, body, {**WHO, **(headers or {})})
        self.assertLess(reply.status, 300, (method, path, reply))
        found = [one for one in self.lines(last) if one["what"] == what and one["who"] == "auditor"]
        self.assertEqual(len(found), 1, (method, template, what, self.lines(last)))
        line = found[0]
        where = (method, template, line)
        self.assertEqual(line["before"] is not None, before, where)
        self.assertEqual(line["after"] is not None, after, where)
        if before and after:
            self.assertNotEqual(line["before"], line["after"], where)
        self.assertRegex(line["at"], r"^20\d\d-\d\d-\d\dT")
        if subject:
            self.assertEqual(line["subject"], subject)
        return reply, line

    def test_every_change(self):
        change, d = self.change, self.daemon
        # Datasets and backbones.
        change("post", f"{V1}/datasets", "dataset.create", {"name": "more"}, subject="dataset/more")
        change("post", f"{V1}/datasets/{{d}}/import", "dataset.import", tar(color_files(4)), d="more")
        change("put", f"{V1}/datasets/{{d}}/images", "dataset.put", PICTURE, before=True, d="more",
               query="?label=red", headers=PNG)
        _, line = change("delete", f"{V1}/datasets/{{d}}/images/{{digest}}", "dataset.delete", before=True, d="more",
                         digest=hashlib.sha256(PICTURE).hexdigest())
        self.assertEqual((line["before"], line["after"]["version"]), ({"version": 2}, 3))
        change("post", f"{V1}/backbones", "backbone.create", tiny_backbone(), query="?name=another",
               subject="backbone/another")
        for of, p, name in (("models", "m", "colors"), ("datasets", "d", "more")):
            change("put", f"{V1}/{of}/{{{p}}}/retention", "retention.set", {"keep_last": 1}, before=True, **{p: name})
            change("delete", f"{V1}/{of}/{{{p}}}/retention", "retention.remove", before=True, after=False, **{p: name})
        # Models, jobs.
        change("post", f"{V1}/models", "model.create", {"name": "new", "dataset": "more", "backbone": "tiny"},
               subject="model/new")
        _, line = change("patch", f"{V1}/models/{{m}}", "model.change", {"limits": {"nice": 5}}, before=True, m="new")
        self.assertEqual((line["before"]["limits"]["nice"], line["after"]["limits"]["nice"]), (None, 5))
        change("put", f"{V1}/models/{{m}}/schedule", "schedule.set", {"new_pictures": 100000}, m="new")
        change("put", f"{V1}/models/{{m}}/schedule", "schedule.set", {"new_pictures": 200000}, before=True, m="new")
        change("delete", f"{V1}/models/{{m}}/schedule", "schedule.remove", before=True, after=False, m="new")
        asked = {"seed": 7, "priority": 3, "tags": {"a": "b"}, "limits": {"nice": 4}}
        reply, line = change("post", f"{V1}/models/{{m}}/retrain", "job.submit", asked, m="colors")
        self.assertEqual({name: line["after"][name] for name in asked},
                         {**asked, "limits": {**line["after"]["limits"], "nice": 4}})
        job = reply.json["id"]
        d.wait_job(job)
        made = next(one for one in self.lines() if one["what"] == "version.create")
        self.assertEqual((made["who"], made["subject"], made["after"]["job"], made["after"]["version"]),
                         ("auditor", "model/colors", job, 4))
        job = change("post", f"{V1}/pipelines/{{m}}", "job.submit", {"ParameterAssignments": {"seed": "8"}},
                     m="colors")[0].json["Id"]
        d.wait_job(job)
        self.cancel()
        # Which version answers.
        change("post", f"{V1}/models/{{m}}/promote", "model.promote", {"version": 2, "force": True, "reason": "x"},
               before=True, m="colors")
        change("post", f"{V1}/models/{{m}}/rollback", "model.rollback", {"reason": "back"}, before=True, m="colors")
        d.post(f"{M}/promote", {"version": 2, "alias": "nightly"}, 200)
        change("delete", f"{V1}/models/{{m}}/aliases/{{alias}}", "model.remove", before=True, m="colors",
               alias="nightly")
        self.rollouts()
        for verb in ("unload", "load"):
            change("post", f"/v2/repository/models/{{m}}/{verb}", f"model.{verb}", m="colors")
        self.feedback()
        # Keys and webhooks, whose secrets are in no line.
        self.webhooks()
        self.keys()
        self.assertEqual(self.missing(), set())

    def missing(self):
        operations = {(method, path) for path, all_of in self.daemon.schema.document["paths"].items()
                      for method in all_of if method not in ("get", "head")}
        self.assertEqual(UNCHANGED - operations, set())
        return operations - UNCHANGED - self.seen

    def cancel(self):
        """One that waits behind another."""
        first = self.daemon.post(f"{M}/retrain", {"seed": 20, "tags": {"a": "b"}}, 202).json["id"]
        second = self.daemon.post(f"{M}/retrain", {"seed": 21, "tags": {"a": "b"}}, 202).json["id"]
        self.change("post", f"{V1}/jobs/{{id}}/cancel", "job.cancel", before=True, id=second)
        self.daemon.wait_job(first)

    def rollouts(self):
        R = f"{V1}/models/{{m}}/rollout"
        plan = {"canary": {"version": 3}, "steps": [25, 50, 100], "min_seconds": 0, "min_requests": 100000, "force": True,
                "reason": "x"}
        manual = {**plan, "approve": "manual", "min_requests": 1}
        self.change("put", R, "rollout.started", plan, m="colors")
        self.change("delete", R, "rollout.aborted", before=True, m="colors")
        for verb, what in (("approve", "rollout.approved"), ("reject", "rollout.rejected")):
            self.daemon.request("PUT", f"{M}/rollout", manual, expect=200)
            for n in range(10000):
                if self.daemon.get(f"{M}/rollout")["state"] == "waiting":
                    break
                self.daemon.request("POST", f"{M}/score", PICTURE, {**PNG, "X-Kennel-Client": f"c{n}"}, expect=200)
            self.change("post", f"{R}/{verb}", what, {"reason": "seen"}, before=True, m="colors")
            if self.daemon.get(f"{M}/rollout")["state"] in ("running", "waiting"):
                self.daemon.request("DELETE", f"{M}/rollout", expect=200)

    def feedback(self):
        """What was told first is with the answer; a change of it is a change."""
        answer = self.daemon.request("POST", f"{M}/score", PICTURE, PNG, expect=200).json
        told = {"prediction_id": answer["prediction_id"], "label": "red"}
        count = len(self.lines())
        self.daemon.post(f"{V1}/feedback", told, 200)
        self.daemon.post(f"{V1}/feedback", told, 200)
        self.assertEqual(len(self.lines()), count)
        _, line = self.change("post", f"{V1}/feedback", "feedback.change", {**told, "label": "blue"}, before=True)
        self.assertEqual((line["before"]["label"], line["after"]["label"]), ("red", "blue"))

    def webhooks(self):
        url = f"http://127.0.0.1:{self.receiver.server_address[1]}/"
        made, line = self.change("post", f"{V1}/webhooks", "webhook.create", {"url": url, "events": ["job.*"]})
        hook = made.json
        self.assertNotIn(hook["secret"], str(line))
        delivery = self.change("post", f"{V1}/webhooks/{{w}}/ping", "webhook.ping", w=hook["id"])[0].json["id"]
        until(lambda: self.daemon.get(f"{V1}/webhooks/{hook['id']}/deliveries")["deliveries"][0]["state"] == "delivered")
        self.change("post", f"{V1}/webhooks/{{w}}/deliveries/{{n}}/redeliver", "webhook.redeliver", before=True,
                    w=hook["id"], n=delivery)
        self.change("delete", f"{V1}/webhooks/{{w}}", "webhook.delete", before=True, after=False, w=hook["id"])

    def keys(self):
        """With keys it is the key's name that counts."""
        made = self.change("post", f"{V1}/backbones", "backbone.create", tiny_backbone(), query="?name=third")
        self.assertEqual(made[1]["who"], "auditor")
        key = self.daemon.post(f"{V1}/keys", {"name": "k", "role": "admin"}, 201, WHO).json
        self.key = {"Authorization": f"Bearer {key['key']}"}

        def ask(method, path, body=None):
            reply = self.daemon.request(method, path, body, {**WHO, **self.key})
            self.assertLess(reply.status, 300, reply)
            return reply

        other = ask("POST", f"{V1}/keys", {"name": "other", "role": "score"}).json
        ask("PUT", f"{M}/retention", {"keep_last": 1, "keep_promoted": False})
        self.assertGreater(ask("POST", f"{V1}/gc").json["version_count"], 0)
        ask("DELETE", f"{V1}/keys/{other['id']}")
        self.seen |= {("post", f"{V1}/keys"), ("delete", f"{V1}/keys/{{id}}"), ("post", f"{V1}/gc")}
        told = [(one["who"], one["what"], (one["before"] or {}).get("name"), (one["after"] or {}).get("name"))
                for one in self.lines()[:5]]
        self.assertEqual(told, [("k", "key.delete", "other", None), ("k", "version.purge", None, None),
                                ("k", "retention.set", None, None), ("k", "key.create", None, "other"),
                                ("auditor", "key.create", None, "k")])
        for secret in (key["key"], other["key"]):
            self.assertNotIn(secret, str(self.lines()))


if __name__ == "__main__":
    unittest.main()
