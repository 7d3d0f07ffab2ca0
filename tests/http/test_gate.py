"""What a model's gate asks for, through a whole retrain."""
import unittest

from kennel_test import V1, Case, make_model


class Gate(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, "colors", train=False)

    def decide(self, gate, seed):
        self.daemon.request("PATCH", f"{V1}/models/colors", {"gate": gate}, expect=200)
        job = self.daemon.post(f"{V1}/models/colors/retrain", {"seed": seed}, 202).json
        job = self.daemon.wait_job(job["id"])
        self.assertIsNone(job["error"], job)
        version = self.daemon.get(f"{V1}/models/colors/versions/{job['version']}")
        self.assertEqual(job["state"], "succeeded" if version["gate"]["passed"] else "rejected")
        return version["gate"]

    def test_ceilings_and_floors(self):
        passed = self.decide({"max_latency_ms": 1e6, "max_bytes": 10 ** 9, "min_holdout": 1}, 1)
        self.assertTrue(passed["passed"], passed)
        self.assertGreater(passed["latency_ms"], 0)
        self.assertIn(passed["worst_recall"]["label"], ("red", "green", "blue"))
        seed = 2
        for gate, words in (({"max_latency_ms": 0.001}, "ms, more than the ceiling"),
                            ({"max_bytes": passed["bytes"] - 1}, "more than the ceiling"),
                            ({"min_holdout": passed["holdout"]["count"] + 1}, "fewer than the required")):
            refused = self.decide(gate, seed)
            seed += 1
            self.assertFalse(refused["passed"])
            self.assertEqual(len(refused["reasons"]), 1, refused["reasons"])
            self.assertIn(words, refused["reasons"][0])
        self.assertIsNone(refused["latency_ms"], "nobody asked for it")

    def test_bad_gates(self):
        for gate, code in (({"max_latency_ms": 0}, "field_range"), ({"min_recall": 1.1}, "field_range"),
                           ({"max_p": "x"}, "json_type"), ({"max_latency": 1}, "field_unknown")):
            self.assertEqual(self.daemon.request("PATCH", f"{V1}/models/colors", {"gate": gate}).code, code)


if __name__ == "__main__":
    unittest.main()
