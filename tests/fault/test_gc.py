"""A collection that is killed anywhere: after the next start nothing that is named is lost, and what was to go is gone."""
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from kennel_test import KENNELD, V1, Daemon, color_files, tar, until  # noqa: E402

SHIM = os.environ.get("KENNEL_FAULT_SHIM", "")
D = f"{V1}/datasets/colors"
FAULT = ("LD_PRELOAD", "KENNEL_FAULT", "KENNEL_FAULT_BELOW", "KENNEL_FAULT_MARK")


def blobs(state):
    return {name for _, _, names in os.walk(os.path.join(state, "blobs", "sha256")) for name in names}


class Collect(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kennel-gc-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.state = os.path.join(self.folder, "state")
        daemon = Daemon(state=self.state)
        self.addCleanup(shutil.rmtree, daemon.folder)
        files = color_files(4)
        daemon.post(f"{V1}/datasets", {"name": "colors"}, 201)
        daemon.post(f"{D}/import", tar(files), 200)
        self.gone = {hashlib.sha256(files[f"red/{i}.png"]).hexdigest() for i in range(3)}
        for digest in self.gone:
            daemon.request("DELETE", f"{D}/images/{digest}", expect=200)
        daemon.stop(keep=True)

    def strike(self, call, below):
        """Kills at every such call of a start, a collection and a stop. How many there were."""
        struck = 0
        while True:
            state = os.path.join(self.folder, f"{call}-{struck}")
            mark = state + ".mark"
            shutil.copytree(self.state, state)
            os.environ.update(zip(FAULT, (SHIM, f"{call}:{struck + 1}:kill", os.path.join(state, below), mark)))
            try:
                daemon = Daemon(state=state)
                daemon.request("PUT", f"{D}/retention", {"keep_last": 1}, expect=200)
                daemon.post(f"{V1}/gc", None, 200)
                daemon.stop(keep=True)
            except (RuntimeError, OSError, http.client.HTTPException, AssertionError):
                if not os.path.exists(mark):
                    raise
                daemon.process.wait()
            finally:
                for name in FAULT:
                    os.environ.pop(name, None)
            ended = not os.path.exists(mark)
            told = subprocess.run([KENNELD, "fsck", "--state", state], capture_output=True, text=True)
            self.assertEqual(told.returncode, 0, (call, struck, told.stdout))
            if ended:
                self.assertFalse(self.gone & blobs(state), (call, struck))
                return struck
            struck += 1
            after = Daemon(state=state)
            after.request("PUT", f"{D}/retention", {"keep_last": 1}, expect=200)
            after.post(f"{V1}/gc", None, 200)
            # The scheduler may have been quicker, and still be at it.
            until(lambda: not self.gone & blobs(state))
            versions = after.get(f"{D}/versions")["versions"]
            self.assertEqual([v["version"] for v in versions if not v["purged"]], [4])
            after.stop(keep=True)
            shutil.rmtree(after.folder)
            told = subprocess.run([KENNELD, "fsck", "--state", state], capture_output=True, text=True)
            self.assertEqual(told.returncode, 0, (call, struck, told.stdout))
            shutil.rmtree(state)

    def test_while_blobs_are_removed(self):
        # Three pictures and three manifests.
        self.assertEqual(self.strike("unlink", "blobs"), 6)

    def test_while_rows_are_written(self):
        self.assertGreater(self.strike("fsync", "kennel.db-wal"), 1)


if __name__ == "__main__":
    if not SHIM:
        print("skipped: no KENNEL_FAULT_SHIM", file=sys.stderr)
        sys.exit(77)
    unittest.main()
