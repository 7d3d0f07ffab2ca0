"""kill -9 of the worker, of the daemon, or of both, and full disks, at every point that matters: after a restart
nothing promoted is lost, no row names a missing blob, jobs go on, and a job ends with the same artifact that an
undisturbed one makes."""
import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from kennel_test import COLORS, V1, Daemon, color_files, make_model, png, tar, tiny_backbone, until  # noqa: E402

SHIM = os.environ.get("KENNEL_FAULT_SHIM", "")
# Every column that names a blob.
NAMED = ("SELECT digest FROM picture UNION SELECT digest FROM dataset_version UNION SELECT digest FROM backbone "
         "UNION SELECT artifact FROM version UNION SELECT report FROM version")


def check_state(case, state):
    """The invariants of a state folder that nobody has open."""
    db = sqlite3.connect(os.path.join(state, "kennel.db"))
    case.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
    case.assertEqual(db.execute("PRAGMA foreign_key_check").fetchall(), [])
    # A kill before the first migration leaves an empty database.
    has_tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] > 0
    for (digest,) in db.execute(NAMED) if has_tables else ():
        path = os.path.join(state, "blobs", "sha256", digest.hex()[:2], digest.hex())
        case.assertTrue(os.path.exists(path), f"a row names the missing blob {digest.hex()}")
        with open(path, "rb") as file:
            case.assertEqual(hashlib.sha256(file.read()).digest(), digest, "a blob is not what its name says")
    db.close()


def workers(daemon):
    """The worker processes of a daemon."""
    out = subprocess.run(["pgrep", "-P", str(daemon.process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in out.stdout.split()]


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def new_pictures(turn, per_class=20):
    """Pictures that no other turn has: the width tells them apart."""
    return {f"{label}/{turn}-{i}.png": png(40 + turn, 36, color, i) for label, color in COLORS.items()
            for i in range(per_class)}


def kill_worker(daemon):
    for pid in workers(daemon):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it was quicker


class Faulty(Daemon):
    """A daemon in which the Nth call of a kind fails or kills."""

    def __init__(self, fault, state):
        os.environ["LD_PRELOAD"], os.environ["KENNEL_FAULT"] = SHIM, fault
        os.environ["KENNEL_FAULT_BELOW"] = state
        try:
            super().__init__(state=state)
        finally:
            for name in ("LD_PRELOAD", "KENNEL_FAULT", "KENNEL_FAULT_BELOW"):
                del os.environ[name]


class Crash(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="kennel-crash-")
        self.state = os.path.join(self.folder.name, "state")
        self.daemon = None

    def tearDown(self):
        if self.daemon and self.daemon.process.poll() is None:
            self.daemon.stop()
        self.folder.cleanup()

    def start(self):
        self.daemon = Daemon(state=self.state)
        return self.daemon

    def digest(self, version):
        return self.daemon.get(f"{V1}/models/colors/versions/{version}")["digest"]

    def retrain(self, seed=1):
        return self.daemon.post(f"{V1}/models/colors/retrain", {"seed": seed}, 202).json["id"]

    def test_worker_killed_at_random_moments(self):
        d = self.start()
        make_model(d, per_class=40)
        want = self.digest(1)
        features = os.path.join(self.state, "features")
        rng = random.Random(1)
        killed = 0
        for _ in range(8):
            for name in os.listdir(features):  # so that there is work to be cut off
                os.unlink(os.path.join(features, name))
            job = self.retrain()
            for _ in range(2):
                until(lambda: workers(d) or d.get(f"{V1}/jobs/{job}")["ended"])
                time.sleep(rng.uniform(0, 0.04))  # the moment is what varies
                kill_worker(d)
            ended = d.wait_job(job)
            self.assertIn(ended["state"], ("succeeded", "rejected"), ended)
            killed += ended["attempt"] > 1
            self.assertEqual(self.digest(ended["version"]), want)
        self.assertGreater(killed, 0, "no worker was ever hit")
        self.assertTrue(d.healthy())

    def test_daemon_killed_at_random_moments(self):
        d = self.start()
        make_model(d, per_class=40)
        want = self.digest(1)
        rng = random.Random(2)
        for turn in range(8):
            job = self.retrain()
            time.sleep(rng.uniform(0, 0.2))  # the moment is what varies
            left = workers(d)
            d.kill()
            for pid in left:  # the workers die with it
                until(lambda: is_gone(pid))
            check_state(self, self.state)
            d = self.start()
            ended = d.wait_job(job)
            self.assertIn(ended["state"], ("succeeded", "rejected"), ended)
            self.assertEqual(self.digest(ended["version"]), want)
            self.assertEqual(d.get(f"{V1}/models/colors")["production"], 1)

    def test_daemon_killed_during_imports(self):
        d = self.start()
        d.post(f"{V1}/datasets", {"name": "colors"}, 201)
        rng = random.Random(3)
        pictures = 0
        for turn in range(8):
            body = tar(new_pictures(turn))

            def upload():
                try:
                    d.post(f"{V1}/datasets/colors/import", body)
                except OSError:
                    pass  # cut off by the kill

            thread = threading.Thread(target=upload)
            thread.start()
            time.sleep(rng.uniform(0, 0.1))  # the moment is what varies
            d.kill()
            thread.join()
            check_state(self, self.state)
            d = self.start()
            shown = d.get(f"{V1}/datasets/colors")
            self.assertIn(shown["pictures"], (pictures, pictures + 60), "half an import is there")
            pictures = shown["pictures"]
            d.post(f"{V1}/datasets/colors/import", body, 200)
            pictures = d.get(f"{V1}/datasets/colors")["pictures"]
            self.assertEqual(pictures, (turn + 1) * 60)

    @unittest.skipUnless(SHIM, "no fault shim in this build")
    def test_daemon_killed_at_named_points(self):
        """The whole job with the daemon killed at its Nth write, rename or sync below the state folder."""
        points = [("rename", n) for n in (1, 5, 30, 38)] + [("fsync", n) for n in (2, 5, 12, 20, 30)] + \
                 [("syncfs", n) for n in (1, 2, 3)] + [("write", n) for n in (7, 30, 60, 120, 200)]
        struck = 0
        for call, n in points:
            with self.subTest(call=call, n=n):
                state = os.path.join(self.folder.name, f"{call}-{n}")
                try:
                    self.daemon = Faulty(f"{call}:{n}:kill", state)
                    make_model(self.daemon)
                    self.daemon.stop(keep=True)
                except (OSError, RuntimeError, AssertionError):
                    struck += 1  # it died under us, or its worker did
                    if self.daemon:
                        self.daemon.kill()
                if os.path.exists(os.path.join(state, "kennel.db")):
                    check_state(self, state)
                self.finish_the_job(state)
                self.daemon = None
        self.assertGreater(struck, len(points) // 2)

    def finish_the_job(self, state):
        """A sound daemon takes up what is there, does what the client would do again, and ends well."""
        d = self.daemon = Daemon(state=state)
        d.request("POST", f"{V1}/backbones?name=tiny", tiny_backbone())
        d.post(f"{V1}/datasets", {"name": "colors"})
        d.post(f"{V1}/datasets/colors/import", tar(color_files()), 200)
        d.post(f"{V1}/models", {"name": "colors", "dataset": "colors", "backbone": "tiny"})
        if d.get(f"{V1}/models/colors")["production"] is None:
            self.retrain()
        for job in d.get(f"{V1}/jobs")["jobs"]:
            self.assertIn(d.wait_job(job["id"])["state"], ("succeeded", "rejected"))
        versions = d.get(f"{V1}/models/colors/versions")["versions"]
        self.assertEqual(len({v["digest"] for v in versions}), 1, versions)
        d.stop(keep=True)
        check_state(self, state)

    @unittest.skipUnless(SHIM, "no fault shim in this build")
    def test_disk_full(self):
        """From the Nth write on there is no space: an error with that reason, and nothing lost."""
        d = self.start()
        make_model(d)
        before = d.get(f"{V1}/datasets/colors"), d.get(f"{V1}/models/colors")
        d.stop(keep=True)
        codes = set()
        for n in (1, 3, 8, 20, 60):
            try:
                self.daemon = d = Faulty(f"write:{n}+:enospc", self.state)
            except RuntimeError as refused:  # not even the database could be opened
                self.assertIn('"code":"disk_full"', str(refused))
                check_state(self, self.state)
                continue
            reply = d.post(f"{V1}/datasets/colors/import", tar(new_pictures(n)))
            if reply.status >= 400:
                codes.add(reply.code)
                self.assertEqual((reply.status, reply.code), (507, "disk_full"))
            self.assertTrue(d.healthy())
            self.assertEqual(d.get(f"{V1}/models/colors")["production"], 1)
            d.kill()
            check_state(self, self.state)
        self.assertEqual(codes, {"disk_full"})
        d = self.start()
        self.assertEqual(d.get(f"{V1}/models/colors")["production"], before[1]["production"])
        self.assertTrue(d.request("POST", f"{V1}/models/colors/score", color_files(1)["red/0.png"],
                                  {"Content-Type": "image/png"}).status == 200)


if __name__ == "__main__":
    unittest.main()
