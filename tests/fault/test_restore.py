"""A restore that is killed or fails at every step: a whole state folder or none, and it can be run again. A backup
that finds the disk full says so and leaves nothing behind."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from kennel_test import KENNELD, V1, Daemon, color_files, tar, tiny_backbone  # noqa: E402

SHIM = os.environ.get("KENNEL_FAULT_SHIM", "")
BLOBS = 3 + 1 + 1 + 1  # pictures, a manifest, that of a second version less its picture, a backbone


def make(daemon):
    daemon.post(f"{V1}/backbones?name=tiny", tiny_backbone(), 201)
    daemon.post(f"{V1}/datasets", {"name": "colors"}, 201)
    daemon.post(f"{V1}/datasets/colors/import", tar(color_files(1)), 200)
    daemon.post(f"{V1}/models", {"name": "colors", "dataset": "colors", "backbone": "tiny"}, 201)
    one = daemon.get(f"{V1}/lineage?of=dataset/colors/versions/1")["from"][0]["of"].removeprefix("picture/")
    daemon.request("DELETE", f"{V1}/datasets/colors/images/{one}", expect=200)


class Restore(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        daemon = Daemon()
        make(daemon)
        cls.archive = daemon.request("GET", f"{V1}/backup", expect=200).body
        daemon.stop()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kennel-restore-")
        self.addCleanup(shutil.rmtree, self.folder)

    def restore(self, state, **env):
        return subprocess.run([KENNELD, "restore", "--state", state, "-"], input=self.archive,
                              capture_output=True, timeout=60, env={**os.environ, **env})

    def is_whole(self, state):
        told = subprocess.run([KENNELD, "fsck", "--state", state], capture_output=True, text=True)
        return (told.returncode, told.stdout) == (0, f"{BLOBS} blobs checked, 0 damages\n")

    def strike(self, call, action):
        """The Nth call fails for every N that there is. How many there were."""
        struck = 0
        while True:
            state = os.path.join(self.folder, f"{call}-{action}-{struck}")
            mark = state + ".mark"
            told = self.restore(state, LD_PRELOAD=SHIM, KENNEL_FAULT=f"{call}:{struck + 1}:{action}",
                                KENNEL_FAULT_BELOW=state, KENNEL_FAULT_MARK=mark)
            if not os.path.exists(mark):
                self.assertEqual(told.returncode, 0, told.stderr)
                return struck
            struck += 1
            where = f"{call} {struck} {action}: {told}"
            left = set(os.listdir(state)) - {"lock"} if os.path.isdir(state) else set()
            if "kennel.db" in left:
                # It came to its end; what failed was what comes after it.
                self.assertTrue(self.is_whole(state), where)
                started = Daemon(state=state)
                self.assertEqual(started.get(f"{V1}/models")["models"][0]["name"], "colors")
                started.stop(keep=True)
                shutil.rmtree(started.folder)
                self.assertNotIn("restoring", os.listdir(state))
                continue
            self.assertNotEqual(told.returncode, 0, where)
            if action != "kill" and call != "unlink":
                self.assertEqual(left, set(), where)
            if left:
                with self.assertRaises(RuntimeError) as refused:
                    Daemon(state=state)
                self.assertIn("state_restoring", str(refused.exception), where)
            again = self.restore(state)
            self.assertEqual(again.returncode, 0, (where, again))
            self.assertTrue(self.is_whole(state), where)

    def test_every_step(self):
        self.assertTrue(BLOBS)
        for call, least in (("write", 10), ("rename", BLOBS + 2), ("open", BLOBS), ("mkdir", 3), ("fsync", 1),
                            ("syncfs", 1)):
            for action in ("kill", "enospc"):
                if call == "open" and action == "enospc":
                    action = "eio"
                self.assertGreaterEqual(self.strike(call, action), least, (call, action))

    def test_a_backup_on_a_full_disk(self):
        """From every write on."""
        state = os.path.join(self.folder, "state")
        daemon = Daemon(state=state)
        make(daemon)
        daemon.stop(keep=True)
        shutil.rmtree(daemon.folder)
        for number in (1, 2, 5, 10, 20):
            staging = os.path.join(state, "staging")
            os.environ.update(LD_PRELOAD=SHIM, KENNEL_FAULT=f"write:{number}+:enospc", KENNEL_FAULT_BELOW=staging)
            try:
                full = Daemon(state=state)
            finally:
                for name in ("LD_PRELOAD", "KENNEL_FAULT", "KENNEL_FAULT_BELOW"):
                    del os.environ[name]
            reply = full.request("GET", f"{V1}/backup")
            self.assertEqual((reply.status, reply.code), (507, "disk_full"), number)
            self.assertEqual(os.listdir(staging), [])
            full.post(f"{V1}/datasets", {"name": f"more-{number}"}, 201)
            full.stop(keep=True)
            shutil.rmtree(full.folder)


if __name__ == "__main__":
    if not SHIM:
        print("skipped: no KENNEL_FAULT_SHIM", file=sys.stderr)
        sys.exit(77)
    unittest.main()
