"""kill -9 of a training worker at random moments: each time it goes on from its checkpoint, and the artifact at the
end has the digest of an undisturbed one."""
import os
import random
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from kennel_test import V1, Daemon, make_model, until  # noqa: E402
from test_crash import workers  # noqa: E402

# KENNEL_KILLS=20 for the long run.
KILLS = int(os.environ.get("KENNEL_KILLS", "3"))
RECIPES = {"fine_tune": {"epochs": 1200, "batch": 8, "ema": 0.9, "norm": "batch"},
           "partial": {"epochs": 2500, "batch": 8, "cut": "r1", "optimiser": "adamw"}}


class Resume(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(os.environ.get("KENNEL_SEED", "1"))
        self.daemon = Daemon()
        self.addCleanup(lambda: self.daemon.process.poll() is None and self.daemon.kill())
        make_model(self.daemon, train=False)

    def submit(self, mode):
        # Whatever the validation says: all epochs are run.
        body = {"mode": mode, "recipe": {"patience": 0, **RECIPES[mode]}, "coalesce": False}
        return self.daemon.post(f"{V1}/models/colors/retrain", body, 202).json["id"]

    def ended(self, job):
        job = self.daemon.wait_job(job)
        self.assertIn(job["state"], ("succeeded", "rejected"), job)
        return self.daemon.get(f"{V1}/models/colors/versions/{job['version']}")

    def trained_to(self, job, step):
        """True when the job trains, is at that step or past it, and has a checkpoint; or has ended."""
        shown = self.daemon.get(f"{V1}/jobs/{job}")
        if shown["state"] not in ("queued", "running"):
            return shown
        progress = shown["progress"] or {}
        there = os.path.exists(os.path.join(self.daemon.state, "jobs", job, "checkpoint"))
        return there and progress.get("phase") == "train" and progress["done"] >= step and workers(self.daemon)

    def kill_and_see(self, mode, whole):
        """Two kills a job: the third death of its worker would end it."""
        steps = whole["report"]["training"]["steps"]
        job = self.submit(mode)
        kills = 0
        for step in sorted(self.random.randrange(steps * 3 // 4) for _ in range(2)):
            until(lambda at=step: self.trained_to(job, at))
            time.sleep(self.random.random() / 20)  # anywhere between two steps' lines
            for pid in workers(self.daemon):
                os.kill(pid, signal.SIGKILL)
                kills += 1
        version = self.ended(job)
        self.assertEqual(version["digest"], whole["digest"], f"{mode}: other bits after {kills} kills")
        if kills:
            self.assertGreater(version["report"]["training"]["resumed_at_step"], 0)
        return kills

    def test_killed_anywhere(self):
        for mode in RECIPES:
            with self.subTest(mode=mode):
                whole = self.ended(self.submit(mode))
                self.assertEqual(whole["report"]["training"]["resumed_at_step"], 0)
                kills = 0
                for _ in range(10 * KILLS):
                    kills += self.kill_and_see(mode, whole)
                    if kills >= KILLS:
                        break
                self.assertGreaterEqual(kills, KILLS)


if __name__ == "__main__":
    unittest.main()
