"""Ten followers under load while their trainer is killed and comes again: no score fails, and a client has one version
everywhere. KENNEL_KILLS=N ctest -R test_fleet kills it N times."""
import http.client
import os
import shutil
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from kennel_test import COLORS, V1, Daemon, make_model, png, until  # noqa: E402

FOLLOWERS = 10
KILLS = int(os.environ.get("KENNEL_KILLS", "2"))
PICTURE = png(40, 36, COLORS["red"], 99)
LIGHT = ("--score-threads", "1", "--http-threads", "1", "--task-threads", "2", "--access-log-rate", "0")


class Load:
    """One connection to one follower, asking without a pause."""

    def __init__(self, follower):
        self.follower, self.asked, self.failed, self.versions = follower, 0, [], set()
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        connection = self.follower.connect()
        while not self.ending.is_set():
            try:
                connection.request("POST", f"{V1}/models/colors/score", PICTURE, {"Content-Type": "image/png"})
                reply = connection.getresponse()
                body = reply.read()
                if reply.status == 200:
                    self.versions.add(reply.headers["X-Kennel-Version"])
                else:
                    self.failed.append(body)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(error)
                connection = self.follower.connect()
            self.asked += 1
        connection.close()

    def end(self):
        self.ending.set()
        self.thread.join()


def promote(trainer, version):
    trainer.post(f"{V1}/models/colors/promote", {"version": version, "force": True, "reason": "test"}, 200)


class Fleet(unittest.TestCase):
    def test_a_trainer_that_dies_fails_no_score(self):
        folder = tempfile.mkdtemp(prefix="kennel-fleet-")
        self.addCleanup(shutil.rmtree, folder)
        trainer = Daemon(state=f"{folder}/state")
        make_model(trainer)
        job = trainer.post(f"{V1}/models/colors/retrain", {"seed": 2}, 202).json
        second = trainer.wait_job(job["id"])["version"]
        followers = [Daemon("--follow", trainer.url, *LIGHT) for _ in range(FOLLOWERS)]
        for follower in followers:
            until(lambda f=follower: f.request("GET", "/readyz").status == 200, 60)
        loads = [Load(follower) for follower in followers]
        wanted = 1
        for _ in range(KILLS):
            trainer.kill()
            before = [load.asked for load in loads]
            until(lambda: all(load.asked > n + 20 for load, n in zip(loads, before)), 60)
            trainer = Daemon("--listen", f"127.0.0.1:{trainer.port}", state=trainer.state)
            wanted = second if wanted == 1 else 1
            promote(trainer, wanted)
            until(lambda: all(f.get(f"{V1}/follower")["models"][0]["aliases"]["production"] == wanted
                              for f in followers), 120)
        for load in loads:
            load.end()
        asked = sum(load.asked for load in loads)
        print(f"{asked} scores of {FOLLOWERS} followers, {KILLS} kills", file=sys.stderr)
        self.assertEqual([load.failed for load in loads if load.failed], [])
        self.assertEqual([load.versions for load in loads], [{"1", str(second)}] * FOLLOWERS)

        clients = [f"client-{i}" for i in range(40)]
        plan = {"canary": {"version": 1 if wanted == second else second}, "steps": [40, 100], "approve": "manual",
                "force": True, "reason": "test", "min_requests": 100000}
        trainer.request("PUT", f"{V1}/models/colors/rollout", plan, expect=200)
        until(lambda: all("canary" in f.get(f"{V1}/follower")["models"][0]["aliases"] for f in followers), 60)

        def split(daemon):
            headers = {"Content-Type": "image/png"}
            return [daemon.request("POST", f"{V1}/models/colors/score", PICTURE, {**headers, "X-Kennel-Client": c},
                                   expect=200).header("X-Kennel-Version") for c in clients]
        everywhere = [split(daemon) for daemon in (trainer, *followers)]
        self.assertEqual(set(everywhere[0]), {"1", str(second)})
        self.assertEqual(everywhere, [everywhere[0]] * (FOLLOWERS + 1))
        for daemon in (*followers, trainer):
            daemon.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
