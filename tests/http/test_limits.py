"""What a job may take: limits of the request over those of the model, and what happens past them."""
import os
import unittest

from kennel_test import V1, Case, make_model

NONE = {"seconds": None, "memory": None, "threads": None, "nice": None}
# The sanitizers' shadow counts as memory too.
PLAIN_BUILD = bool(os.environ.get("KENNEL_FAULT_SHIM"))


class Limits(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, train=False)

    def retrain(self, limits=None, seed=0):
        body = {"seed": seed} if limits is None else {"seed": seed, "limits": limits}
        return self.daemon.post(f"{V1}/models/colors/retrain", body)

    def ended(self, limits=None, seed=0):
        reply = self.retrain(limits, seed)
        self.assertEqual(reply.status, 202, reply)
        return self.daemon.wait_job(reply.json["id"])

    def test_request_over_model(self):
        model = f"{V1}/models/colors"
        self.assertEqual(self.daemon.get(model)["limits"], NONE)
        changed = self.daemon.request("PATCH", model, {"limits": {"threads": 1, "nice": 5, "seconds": 3600}}).json
        self.assertEqual(changed["limits"], {**NONE, "threads": 1, "nice": 5, "seconds": 3600})
        job = self.ended(seed=11)
        self.assertEqual(job["limits"], changed["limits"])
        self.assertEqual(job["state"], "succeeded", job)
        other = self.ended({"nice": None, "threads": 2}, seed=11)
        self.assertEqual(other["limits"], {**NONE, "threads": 2, "seconds": 3600})
        digests = {self.daemon.get(f"{model}/versions/{j['version']}")["digest"] for j in (job, other)}
        self.assertEqual(len(digests), 1, "limits must not change what is trained")
        self.assertEqual(self.daemon.request("PATCH", model, {"limits": {}}).json["limits"], NONE)

    def test_each_limit_has_limits(self):
        for name, least, most in (("seconds", 1, 30 * 24 * 3600), ("memory", 16 << 20, (1 << 53) + 1),
                                  ("threads", 1, 1024), ("nice", 0, 19)):
            for value in (least - 1, most + 1):
                reply = self.refused(self.retrain({name: value}), 400, "field_range")
                self.assertIn(name, reply.json["detail"])
                self.refused(self.daemon.request("PATCH", f"{V1}/models/colors", {"limits": {name: value}}),
                             400, "field_range")
        self.refused(self.retrain({"hours": 1}), 400, "field_unknown")
        self.refused(self.retrain({"seconds": "60"}), 400, "json_type")
        self.refused(self.retrain(7), 400, "json_type")

    @unittest.skipUnless(PLAIN_BUILD, "not under a sanitizer")
    def test_memory(self):
        job = self.ended({"memory": 16 << 20}, seed=5)
        self.assertEqual(job["state"], "failed", job)
        self.assertEqual(job["error"]["code"], "no_memory", job)
        self.assertIn(str(16 << 20), job["error"]["message"])
        self.assertEqual(job["attempt"], 1)
        self.assertEqual(self.ended({"memory": 1 << 32}, seed=5)["state"], "succeeded")
        self.daemon.healthy()


if __name__ == "__main__":
    unittest.main()
