"""kenneld fsck: silent about a sound folder, and names each blob that is missing or changed."""
import os
import shutil
import subprocess
import unittest

from kennel_test import KENNELD, V1, Daemon, make_model


class Fsck(unittest.TestCase):
    def fsck(self, state):
        return subprocess.run([KENNELD, "fsck", "--state", state], capture_output=True, text=True, timeout=60)

    def test_damage_is_named(self):
        daemon = Daemon()
        make_model(daemon, "colors")
        self.assertEqual(self.fsck(daemon.state).returncode, 1, "a daemon runs")
        version = daemon.get(f"{V1}/models/colors/versions/1")
        backbone = version["backbone_digest"]
        daemon.stop(keep=True)
        self.addCleanup(shutil.rmtree, daemon.folder)
        clean = self.fsck(daemon.state)
        self.assertEqual((clean.returncode, clean.stdout), (0, "40 blobs checked, 0 damages\n"))

        path = lambda digest: os.path.join(daemon.state, "blobs", "sha256", digest[:2], digest)
        os.remove(path(version["digest"]))
        with open(path(backbone), "r+b") as file:
            file.seek(100)
            byte = file.read(1)
            file.seek(100)
            file.write(bytes([byte[0] ^ 1]))
        told = self.fsck(daemon.state)
        self.assertEqual(told.returncode, 4)
        self.assertEqual(set(told.stdout.splitlines()), {
            f"model/colors/versions/1: blob {version['digest']}: missing",
            f"backbone/tiny: blob {backbone}: changed", "40 blobs checked, 2 damages"})

    def test_what_is_no_state_folder(self):
        told = self.fsck("/nonexistent")
        self.assertEqual(told.returncode, 1)
        self.assertIn("/nonexistent", told.stderr)
        self.assertEqual(subprocess.run([KENNELD, "fsck"], capture_output=True).returncode, 2)


if __name__ == "__main__":
    unittest.main()
