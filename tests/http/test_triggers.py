"""What a pipeline relies on when it triggers a retraining: answers at once, keys that make a repeated request
harmless, priorities, one job for identical triggers, and Azure ML's form of the request."""
import json
import subprocess
import threading
import time
import unittest

from kennel_test import KENNEL, V1, Case, color_files, make_model, tar, until


class Triggers(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, "busy", train=False)
        make_model(cls.daemon, "other", train=False)

    def setUp(self):
        """A worker that is stopped holds its model (and the one runner), so that what follows stays queued."""
        self.addCleanup(self.release)
        until(self.hold)

    def hold(self):
        """False when the job ended before its worker was found."""
        self.held = self.retrain({"seed": 999, "coalesce": False, "priority": 10}).json["id"]
        while self.daemon.get(f"{V1}/jobs/{self.held}")["state"] in ("queued", "running"):
            for pid in subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.daemon.process.pid)],
                                      capture_output=True, text=True).stdout.split():
                subprocess.run(["kill", "-STOP", pid], capture_output=True)
                if self.daemon.get(f"{V1}/jobs/{self.held}")["state"] == "running":
                    return True
                subprocess.run(["kill", "-CONT", pid], capture_output=True)
        return False

    def release(self):
        for job in self.daemon.get(f"{V1}/jobs?limit=1000")["jobs"]:
            if job["state"] in ("queued", "running"):
                self.daemon.request("POST", f"{V1}/jobs/{job['id']}/cancel")

    def retrain(self, body=None, key=None, model="busy", expect=202):
        headers = {"Idempotency-Key": key} if key else {}
        return self.daemon.post(f"{V1}/models/{model}/retrain", body or {}, expect, headers)

    def test_same_key_same_job(self):
        first = self.retrain({"seed": 1, "tags": {"a": "b"}}, "k-1")
        again = self.daemon.request("POST", f"{V1}/models/busy/retrain", '{"tags":  {"a":"b"}, "seed": 1}',
                                    {"Idempotency-Key": "k-1"}, expect=202)
        self.assertEqual(first.json["id"], again.json["id"])
        self.assertEqual(first.header("Location"), again.header("Location"))
        self.assertNotIn("repeated", first.json)
        self.assertTrue(again.json["repeated"])
        # Also once it is no longer queued.
        self.daemon.post(f"{V1}/jobs/{first.json['id']}/cancel", None, 200)
        again = self.retrain({"seed": 1, "tags": {"a": "b"}}, "k-1").json
        self.assertEqual((again["id"], again["state"]), (first.json["id"], "cancelled"))

    def test_same_key_other_request(self):
        self.retrain({"seed": 2}, "k-2")
        self.refused(self.retrain({"seed": 3}, "k-2", expect=None), 422, "idempotency_reused")
        self.refused(self.retrain({"seed": 2}, "k-2", model="other", expect=None), 422, "idempotency_reused")
        # Another caller's key is another key.
        theirs = self.daemon.post(f"{V1}/models/busy/retrain", {"seed": 4}, 202,
                                  {"Idempotency-Key": "k-2", "X-Requested-By": "somebody"})
        self.assertNotIn("repeated", theirs.json)

    def test_a_refused_request_uses_no_key(self):
        self.refused(self.retrain({"recipe": {"fold": 3}}, "k-3", expect=None), 400, "field_unknown")
        self.retrain({"seed": 5}, "k-3")

    def test_length_of_a_key(self):
        self.retrain({"seed": 6}, "k" * 255)
        self.refused(self.retrain({"seed": 6}, "k" * 256, expect=None), 400, "field_range")

    def test_same_key_at_once(self):
        replies = []
        def go():
            replies.append(self.retrain({"seed": 7, "coalesce": False}, "k-race").json)
        threads = [threading.Thread(target=go) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len({reply["id"] for reply in replies}), 1)
        self.assertEqual(sum("repeated" not in reply for reply in replies), 1)

    def test_identical_triggers_are_one_job(self):
        first = self.retrain({"seed": 8}).json
        second = self.retrain({"seed": 8, "priority": 3}).json
        self.assertEqual(second["id"], first["id"])
        self.assertTrue(second["coalesced"])
        self.assertEqual(second["priority"], 3)
        self.assertEqual(self.retrain({"seed": 8, "priority": -3}).json["priority"], 3)
        others = [self.retrain(body).json for body in
                  ({"seed": 9}, {"seed": 8, "tags": {"a": "1"}}, {"seed": 8, "recipe": {"folds": 3}},
                   {"seed": 8, "coalesce": False})]
        self.assertEqual(len({first["id"]} | {other["id"] for other in others}), 5)
        self.assertFalse([other for other in others if "coalesced" in other])
        # New pictures make it another request.
        self.daemon.post(f"{V1}/datasets/busy/import", tar(color_files(1, start=20)), 200)
        self.assertNotEqual(self.retrain({"seed": 8}).json["id"], first["id"])

    def test_a_running_job_is_not_coalesced_with(self):
        later = self.retrain({"seed": 999, "priority": 10}).json
        self.assertNotEqual(later["id"], self.held)

    def test_answers_at_once(self):
        took = []
        for seed in range(20):
            start = time.monotonic()
            reply = self.retrain({"seed": 100 + seed})
            took.append(time.monotonic() - start)
            self.assertTrue(reply.header("Retry-After"))
        self.assertLess(sorted(took)[10], 0.25)

    def test_priorities(self):
        jobs = {p: self.retrain({"seed": 30 + p, "priority": p}, model="other").json["id"] for p in (0, -10, 10, 5)}
        second = self.retrain({"seed": 41, "priority": 10}, model="other").json["id"]
        self.refused(self.retrain({"priority": 11}, expect=None), 400, "field_range")
        self.refused(self.retrain({"priority": -11}, expect=None), 400, "field_range")
        self.daemon.post(f"{V1}/jobs/{self.held}/cancel", None, 200)
        order = [jobs[10], second, jobs[5], jobs[0], jobs[-10]]
        started = [self.daemon.wait_job(job)["started"] for job in order]
        self.assertEqual(started, sorted(started))

    def test_azure_form(self):
        reply = self.daemon.post(f"{V1}/pipelines/busy", {
            "ExperimentName": "nightly", "RunSource": "SDK",
            "ParameterAssignments": {"seed": "77", "priority": 2, "folds": "3"}}, 200)
        self.assertEqual(list(reply.json), ["Id"])
        self.assertEqual(reply.header("Location"), f"{V1}/jobs/{reply.json['Id']}")
        job = self.daemon.get(f"{V1}/jobs/{reply.json['Id']}")
        self.assertEqual((job["model"], job["seed"], job["priority"]), ("busy", 77, 2))
        self.assertEqual(job["tags"], {"experiment": "nightly", "run_source": "SDK"})
        for name in ("learning_rat", "Seed"):
            refused = self.daemon.post(f"{V1}/pipelines/busy", {"ParameterAssignments": {name: "1"}})
            self.assertEqual(refused.status, 400)
            self.assertIn(name, refused.json["detail"])
        self.refused(self.daemon.post(f"{V1}/pipelines/busy", {"Experiment": "x"}), 400, "field_unknown")
        self.refused(self.daemon.post(f"{V1}/pipelines/nobody", {}), 404, "model_unknown")

    def test_azure_form_with_all_that_its_documentation_names(self):
        body = {"ExperimentName": "nightly", "Description": "C# call", "Tags": {"team": "vision"}, "RunSource": None,
                "ParameterAssignments": None, "DataSetDefinitionValueAssignments": {}, "DataPathAssignments": {}}
        made = self.daemon.post(f"{V1}/pipelines/busy", body, 200).json["Id"]
        self.assertEqual(self.daemon.get(f"{V1}/jobs/{made}")["tags"],
                         {"experiment": "nightly", "description": "C# call", "team": "vision"})
        # Other data than the model's own would be trained on silently, were they passed over.
        for name in ("DataSetDefinitionValueAssignments", "DataPathAssignments"):
            refused = self.daemon.post(f"{V1}/pipelines/busy", {name: {"input": {"DataStoreName": "x"}}})
            self.refused(refused, 400, "field_range")
            self.assertIn(name, refused.json["detail"])
        self.refused(self.daemon.post(f"{V1}/pipelines/busy", {"Tags": {"a": 1}}), 400, "json_type")

    def test_command_line(self):
        def kennel(*words):
            run = subprocess.run([KENNEL, "--url", self.daemon.url, "--json", *words], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stderr)
            return json.loads(run.stdout)
        words = ("retrain", "busy", "--seed", "55", "--priority", "4", "--idempotency-key", "from the shell")
        first, second = kennel(*words), kennel(*words)
        self.assertEqual(first["priority"], 4)
        self.assertEqual((second["id"], second["repeated"]), (first["id"], True))
        self.assertNotEqual(kennel("retrain", "busy", "--seed", "55", "--no-coalesce")["id"], first["id"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
