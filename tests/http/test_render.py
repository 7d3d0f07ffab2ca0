"""kennel-render: its command line, and that what it draws can be imported."""
import hashlib
import os
import subprocess
import tempfile
import unittest

from kennel_test import KENNEL, Case

RENDER = os.environ.get("KENNEL_RENDER", "kennel-render")


def render(*words):
    return subprocess.run([RENDER, *words], capture_output=True, timeout=100)


class Render(Case):
    def test_help_and_mistakes(self):
        run = render("--help")
        self.assertEqual((run.returncode, run.stderr), (0, b""))
        self.assertIn(b"surface", run.stdout)
        for words, says in ((["surface", "--count", "0"], "--count"), (["surface", "--count", "1e3"], "1e3"),
                            (["stream", "--size", "2000"], "--size"), (["stream", "--classes", "1"], "--classes"),
                            (["surface", "--val", "100"], "--val"), (["surface", "--colour"], "unknown option"),
                            (["marble"], "surface or stream"), (["surface", "stream"], "surface or stream"), ([], "surface or stream")):
            run = render(*words)
            self.assertEqual(run.returncode, 2, words)
            self.assertIn(says, run.stderr.decode())
            self.assertEqual(run.stdout, b"")

    def test_a_file_is_whole_or_not_there(self):
        with tempfile.TemporaryDirectory(prefix="kennel-render-") as folder:
            run = render("surface", "--count", "3", "--size", "32", "--output", f"{folder}/none/set.tar")
            self.assertEqual(run.returncode, 1)
            self.assertIn("none/set.tar", run.stderr.decode())
            # libarchive gives up its own buffer for lost when a write fails.
            asan = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
            run = subprocess.run(["sh", "-c", 'ulimit -f 16; exec "$0" surface --count 90 --size 64 --output "$1"',
                                  RENDER, f"{folder}/set.tar"], capture_output=True, timeout=100,
                                 preexec_fn=ignore_file_size, env=asan)
            self.assertEqual(run.returncode, 1, run.stderr)
            self.assertEqual(os.listdir(folder), [])

    def test_import(self):
        with tempfile.TemporaryDirectory(prefix="kennel-render-") as folder:
            path = f"{folder}/set.tar"
            self.assertEqual(render("surface", "--count", "30", "--size", "64", "--output", path).returncode, 0)
            with open(path, "rb") as file:
                written = hashlib.sha256(file.read()).digest()
            streamed = render("surface", "--count", "30", "--size", "64").stdout
            self.assertEqual(hashlib.sha256(streamed).digest(), written)
            self.assertEqual(os.listdir(folder), ["set.tar"])
            env = dict(os.environ, KENNEL_URL=self.daemon.url)
            subprocess.run([KENNEL, "dataset", "create", "surface"], env=env, check=True, capture_output=True)
            run = subprocess.run([KENNEL, "dataset", "import", "surface", path], env=env, capture_output=True, text=True)
            self.assertEqual(run.stdout, "version 1: 30 added, 0 duplicates, 0 rejected\n", run.stderr)


def ignore_file_size():
    """Past the limit a write fails instead of the process."""
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


if __name__ == "__main__":
    unittest.main()
