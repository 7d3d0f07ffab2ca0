"""Rollouts: a version gets its traffic step by step, and loses it when it is worse."""
import math
import unittest

from kennel_test import COLORS, V1, Daemon, color_files, make_model, png, tar, until
from test_metrics import read

M = f"{V1}/models/colors"
R = f"{M}/rollout"
PNG = {"Content-Type": "image/png"}
PICTURES = {label: png(40, 36, color, 77) for label, color in COLORS.items()}
# Version 2 is version 1 trained again, 3 learned permuted labels.
SAME, PERMUTED = 2, 3


def add_versions(daemon):
    make_model(daemon)
    job = daemon.post(f"{M}/retrain", {"seed": 1, "tags": {"again": "1"}}, 202).json
    daemon.wait_job(job["id"])
    names = list(COLORS)
    colors = {names[i]: COLORS[names[(i + 1) % 3]] for i in range(3)}
    daemon.post(f"{V1}/datasets", {"name": "permuted"}, 201)
    daemon.post(f"{V1}/datasets/permuted/import", tar(color_files(12, colors)), 200)
    daemon.request("PATCH", M, {"dataset": "permuted"}, expect=200)
    job = daemon.wait_job(daemon.post(f"{M}/retrain", {"seed": 1}, 202).json["id"])
    assert job["version"] == PERMUTED, job


def start(daemon, version, expect=200, **more):
    body = {"canary": {"version": version}, "steps": [50, 100], "min_seconds": 0, "min_requests": 20,
            "force": True, "reason": "a test", **more}
    return daemon.request("PUT", R, body, expect=expect)


class Rollouts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        add_versions(cls.daemon)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def setUp(self):
        self.connection = self.daemon.connect()
        self.addCleanup(self.connection.close)

    def tearDown(self):
        if self.rollout()["state"] in ("running", "waiting"):
            self.daemon.request("DELETE", R, expect=200)

    def rollout(self):
        return self.daemon.get(R)

    def score(self, client, label="red", **more):
        return self.daemon.request("POST", f"{M}/score", PICTURES[label], {**PNG, "X-Kennel-Client": client, **more},
                                   self.connection, 200)

    def clients(self, version, count=1):
        """Some who are answered by that version."""
        found = (c for c in map("client-{}".format, range(10000)) if self.score(c).json["version"] == version)
        return [next(found) for _ in range(count)]

    def wait_state(self, *states):
        return until(lambda: (r := self.rollout())["state"] in states and r)

    def test_permuted_labels_are_rolled_back_at_the_stated_request(self):
        begun = start(self.daemon, PERMUTED, rules={"expected_disagreement": 0.05, "max_disagreement": 0.2}).json
        test = next(t for t in begun["analysis"]["tests"] if t["rule"] == "disagreement")
        # One step that is analysed, four rules, half of alpha for the first run.
        stated = math.ceil(math.log(2 * 4 / 0.05) / math.log(0.2 / 0.05))
        self.assertEqual((test["fastest_rejection"], stated), (4, 4))
        self.assertIn({"alias": "canary", "version": PERMUTED}, self.daemon.get(f"{M}/aliases")["aliases"])
        client, asked = None, 0
        for number in range(10000):
            reply = self.score(client or f"someone-{number}").json
            if reply["version"] == PERMUTED:
                client, asked = client or f"someone-{number}", asked + 1
                if asked < stated:
                    until(lambda: self.rollout()["analysis"]["requests"] == asked)
                    self.assertEqual(self.rollout()["state"], "running")
            if asked == stated:
                break
        ended = self.wait_state("rolled_back")
        self.assertEqual(ended["analysis"]["requests"], stated)
        self.assertIn("disagreement: 4 of the canary's 4 answers", ended["reason"])
        self.assertEqual(self.score(client).json["version"], 1)
        self.assertNotIn("canary", [a["alias"] for a in self.daemon.get(f"{M}/aliases")["aliases"]])
        with_reason = self.daemon.request("GET", f"{M}/promotions", expect=200).json["promotions"][0]
        self.assertEqual((with_reason["alias"], with_reason["cause"]), ("canary", "rollout"))

    def test_an_equal_version_goes_through_its_steps(self):
        start(self.daemon, SAME, steps=[20, 60, 100])
        early = self.clients(SAME, 3)
        late = None
        for number in range(100000):
            r = self.rollout() if number % 20 == 0 else r
            if r["state"] == "completed":
                break
            if r["percent"] == 60 and not late:
                late = [self.score(c).json["version"] for c in early]
            self.score(f"many-{number}", list(COLORS)[number % 3])
        self.assertEqual(late, [SAME] * 3)
        self.assertEqual(self.score("anybody").json["version"], SAME)
        newest = [h for h in self.daemon.get(f"{M}/promotions")["promotions"] if h["alias"] == "production"][0]
        self.assertEqual((newest["version"], newest["cause"], newest["who"]), (SAME, "promote", "rollout"))
        self.assertIn("rollout", newest["reason"])
        self.daemon.post(f"{M}/rollback", {}, 200)

    def test_a_person_approves(self):
        start(self.daemon, SAME, approve="manual")
        self.assertEqual(self.daemon.post(f"{R}/approve").code, "rollout_state")
        client = self.clients(SAME)[0]
        until(lambda: self.score(client) and self.rollout()["state"] == "waiting", 60)
        self.assertEqual(self.daemon.post(f"{R}/approve", expect=200).json["state"], "completed")
        self.daemon.post(f"{M}/rollback", {}, 200)

    def test_a_person_rejects(self):
        start(self.daemon, SAME)
        client = self.clients(SAME)[0]
        self.assertEqual(self.daemon.post(f"{R}/reject", {}).code, "field_missing")
        ended = self.daemon.post(f"{R}/reject", {"reason": "ugly"}, 200).json
        self.assertEqual((ended["state"], ended["reason"]), ("rejected", "ugly"))
        self.assertEqual(self.score(client).json["version"], 1)
        self.assertEqual(self.daemon.post(f"{R}/reject", {"reason": "ugly"}).code, "rollout_state")

    def test_feedback_rolls_back(self):
        rules = {"expected_disagreement": 0.9, "max_disagreement": 0.99}
        start(self.daemon, PERMUTED, rules=rules)
        client = self.clients(PERMUTED)[0]

        def tell():
            reply = self.score(client).json
            asked = self.rollout()["analysis"]["requests"]
            until(lambda: self.rollout()["analysis"]["requests"] >= asked)
            told = self.daemon.post(f"{V1}/feedback", {"prediction_id": reply["prediction_id"], "label": "red"}).json
            self.assertEqual((told["version"], told["right"]), (reply["version"], reply["version"] != PERMUTED))
            return self.rollout()["state"] == "rolled_back"
        until(tell, 60)
        self.assertIn("feedback:", self.rollout()["reason"])

    def test_feedback(self):
        start(self.daemon, SAME)
        one = self.score("me").json
        body = {"prediction_id": one["prediction_id"], "label": "blue"}
        self.assertFalse(self.daemon.post(f"{V1}/feedback", body, 200).json["right"])
        self.assertTrue(self.daemon.post(f"{V1}/feedback", {**body, "label": "red"}, 200).json["right"])
        # Both versions that said something of the picture are known, and know of it.
        lineage = lambda of: self.daemon.get(f"{V1}/lineage?of={of}")
        answer = self.score(self.clients(SAME)[0]).json
        of = f"prediction/{answer['prediction_id']}"
        links = until(lambda: (f := lineage(of)["from"])[1:] and f)
        self.assertEqual([(link["relation"], link["of"]) for link in links],
                         [("answered_by", f"model/colors/versions/{SAME}"),
                          ("also_answered_by", "model/colors/versions/1")])
        self.assertIn(of, [link["of"] for link in lineage("model/colors/versions/1")["to"]
                           if link["relation"] == "also_answered"])
        self.assertEqual(self.daemon.post(f"{V1}/feedback", {**body, "prediction_id": "0" * 32}, 404).code,
                         "prediction_unknown")
        self.assertEqual(self.daemon.post(f"{V1}/feedback", {**body, "label": ""}, 400).code, "field_range")

    def test_a_shadow_is_not_seen(self):
        self.daemon.request("PUT", R, {"shadow": {"version": PERMUTED}}, expect=200)
        for number in range(5):
            self.assertEqual(self.score(f"c{number}").json["version"], 1)
        seen = until(lambda: (s := self.rollout()["analysis"]["shadow"])["requests"] == 5 and s)
        self.assertEqual((seen["differ"], seen["failed"]), (5, 0))
        self.assertEqual(self.rollout()["percent"], 0)

    def test_metrics(self):
        get = lambda metric, **labels: read(self.daemon).get(f"kennel_rollout_{metric}", model="colors", **labels)
        decided = lambda decision, reason: get("decisions_total", decision=decision, reason=reason)
        arms = ("production", "canary", "shadow")
        before, answers = decided("started", "person"), {arm: get("answers_total", arm=arm) for arm in arms}
        start(self.daemon, SAME, shadow={"version": PERMUTED}, steps=[20, 60, 100], min_requests=100000)
        self.assertEqual((get("open", state="running"), get("open", state="waiting"), get("step"),
                          get("traffic_ratio")), (1, 0, 1, 0.2))
        gave = [self.score(f"c{number}").json["version"] for number in range(40)]
        answers["canary"] += gave.count(SAME)
        answers["production"] += gave.count(1)
        answers["shadow"] += gave.count(1)  # what production answered is mirrored
        until(lambda: {arm: get("answers_total", arm=arm) for arm in arms} == answers)
        self.assertGreater(gave.count(SAME) * gave.count(1), 0)
        rejected = decided("rejected", "person")
        self.daemon.post(f"{R}/reject", {"reason": "seen enough"}, 200)
        self.assertEqual((decided("started", "person"), decided("rejected", "person")), (before + 1, rejected + 1))
        self.assertEqual((get("open"), get("step"), get("traffic_ratio")), (0, 0, 0))
        # A rule that failed is the reason.
        disagreed = decided("rolled_back", "disagreement")
        start(self.daemon, PERMUTED, rules={"expected_disagreement": 0.05, "max_disagreement": 0.2})
        client = self.clients(PERMUTED)[0]
        until(lambda: self.score(client) and self.rollout()["state"] == "rolled_back")
        self.assertEqual(decided("rolled_back", "disagreement"), disagreed + 1)
        # Steps and a person's word.
        start(self.daemon, SAME, approve="manual", steps=[40, 60, 100])
        client = self.clients(SAME)[0]
        until(lambda: self.score(client) and get("open", state="waiting") == 1, 60)
        approved = decided("approved", "person")
        self.daemon.post(f"{R}/approve", expect=200)
        self.assertEqual((get("step"), get("traffic_ratio"), decided("approved", "person")), (2, 0.6, approved + 1))
        self.assertGreaterEqual(decided("waiting", "passed"), 1)

    def test_refusals(self):
        start(self.daemon, SAME)
        self.assertEqual(start(self.daemon, SAME, None).code, "rollout_open")
        self.assertEqual(self.daemon.post(f"{M}/promote", {"version": 1, "alias": "canary"}).code, "rollout_open")
        self.assertEqual(self.daemon.request("DELETE", f"{M}/aliases/canary").code, "rollout_open")
        self.assertEqual(self.daemon.request("DELETE", R, expect=200).json["state"], "aborted")
        self.assertEqual(self.daemon.request("DELETE", R).code, "rollout_state")
        self.assertEqual(start(self.daemon, 1, None).code, "field_range")
        self.assertEqual(start(self.daemon, 9, None).code, "version_unknown")
        refused = start(self.daemon, SAME, 409, force=False)
        self.assertEqual((refused.code, refused.json["gate"]["passed"]), ("gate_refused", False))

    def test_forced_versions_are_not_counted_in(self):
        start(self.daemon, SAME)
        self.assertEqual(self.score("x", **{"X-Kennel-Version": "1"}).json["version"], 1)
        self.assertEqual(self.score("x", **{"X-Kennel-Version": "canary"}).json["version"], SAME)
        # Pictures are mirrored in their order: when the last one was, those before it would have been.
        for number in range(5):
            self.score("x", **{"X-Kennel-Version": str(SAME)})
            self.daemon.request("POST", f"{M}/versions/{SAME}/score", PICTURES["red"], PNG, self.connection, 200)
        asked = sum(self.score(f"c{n}").json["version"] == SAME for n in range(15))
        self.assertGreater(asked, 0)
        until(lambda: self.rollout()["analysis"]["requests"] >= asked)
        self.assertEqual(self.rollout()["analysis"]["requests"], asked)


class Restart(unittest.TestCase):
    def test_a_killed_daemon_goes_on(self):
        daemon = Daemon()
        add_versions(daemon)
        start(daemon, SAME, approve="manual")
        ask = lambda d, c: d.request("POST", f"{M}/score", PICTURES["red"], {**PNG, "X-Kennel-Client": c}).json
        client = next(c for c in map(str, range(1000)) if ask(daemon, c)["version"] == SAME)
        daemon.kill()
        daemon = Daemon(state=daemon.state)
        rollout = daemon.get(R)
        self.assertEqual((rollout["state"], rollout["percent"]), ("running", 50))
        for _ in range(10):
            self.assertEqual(ask(daemon, client)["version"], SAME)
        asked = until(lambda: (n := daemon.get(R)["analysis"]["requests"]) >= 10 and n)
        daemon.stop(keep=True)
        # What was seen before a stop counts on; of what a kill left, what was kept within ten seconds.
        daemon = Daemon(state=daemon.state)
        self.addCleanup(daemon.stop)
        self.assertEqual((daemon.get(R)["step"], daemon.get(R)["analysis"]["requests"]), (0, asked))
        until(lambda: ask(daemon, client) and daemon.get(R)["state"] == "waiting", 60)


if __name__ == "__main__":
    unittest.main()
