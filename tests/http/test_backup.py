"""Backup while the server works, and what restores it: the same answers, or nothing at all."""
import concurrent.futures
import io
import json
import os
import shutil
import socket
import struct
import subprocess
import tarfile
import tempfile
import threading
import unittest
import zlib

from kennel_test import COLORS, KENNEL, KENNELD, V1, Daemon, color_files, make_model, png, tar, until

PNG = {"Content-Type": "image/png"}
PICTURES = [png(40, 36, color, 77) for color in COLORS.values()]
ENV = {**os.environ, "PATH": os.path.dirname(KENNELD) + ":" + os.environ["PATH"]}


def restore(state, archive):
    return subprocess.run([KENNELD, "restore", "--state", state, "-"], input=archive, capture_output=True, timeout=120)


def scores(daemon):
    replies = [daemon.request("POST", f"{V1}/models/colors/score", p, PNG, expect=200).json for p in PICTURES]
    return [{k: v for k, v in reply.items() if k != "prediction_id"} for reply in replies]


def members(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as f:
        return [(m.name, f.extractfile(m).read()) for m in f]


def repack(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as f:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            f.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Backup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        make_model(cls.daemon)
        cls.scores = scores(cls.daemon)
        paths = ("models", "datasets", "backbones", "models/colors/versions", "models/colors/promotions",
                 "datasets/colors/versions", "models/colors/versions/1")
        cls.was = {path: cls.daemon.get(f"{V1}/{path}") for path in paths}
        cls.archive = cls.daemon.request("GET", f"{V1}/backup", expect=200).body

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kennel-restore-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.state = os.path.join(self.folder, "state")

    def refused(self, archive, word, state=None):
        state = state or self.state
        before = sorted(os.listdir(state)) if os.path.isdir(state) else []
        told = restore(state, archive)
        self.assertEqual(told.returncode, 4, told)
        self.assertIn(word, told.stderr.decode())
        after = sorted(os.listdir(state)) if os.path.isdir(state) else []
        self.assertEqual([n for n in after if n != "lock"], [n for n in before if n != "lock"])

    def test_the_restored_state_answers_the_same(self):
        told = restore(self.state, self.archive)
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertRegex(told.stdout.decode(), r"^restored 40 blobs \(\d+ bytes\) and the database of ")
        checked = subprocess.run([KENNELD, "fsck", "--state", self.state], capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stdout), (0, "40 blobs checked, 0 damages\n"))
        restored = Daemon(state=self.state)
        self.addCleanup(shutil.rmtree, restored.folder)
        self.assertEqual(scores(restored), self.scores)
        for path, was in self.was.items():
            self.assertEqual(restored.get(f"{V1}/{path}"), was)
        # It goes on where it was: a retrain makes the next version.
        job = restored.post(f"{V1}/models/colors/retrain", {"seed": 2}, 202).json
        self.assertEqual(restored.wait_job(job["id"])["version"], 2)
        restored.stop(keep=True)
        self.assertNotIn("restoring", os.listdir(self.state))

    def test_the_archive_is_a_tar_whose_length_was_known(self):
        reply = self.daemon.request("GET", f"{V1}/backup", expect=200)
        self.assertEqual(int(reply.header("Content-Length")), len(reply.body))
        files = members(reply.body)
        head = json.loads(files[0][1])
        self.assertEqual([files[0][0], files[1][0]], ["kennel-backup.json", "kennel.db"])
        self.assertEqual(head["blobs"]["count"], len(files) - 2)
        self.assertEqual(head["blobs"]["bytes"], sum(len(data) for _, data in files[2:]))
        self.assertEqual(self.daemon.request("HEAD", f"{V1}/backup", expect=200).body, b"")
        lines = self.daemon.get(f"{V1}/audit?what=backup.take")["audit"]
        self.assertGreaterEqual(len(lines), 2)
        # Nothing is left of it in the state folder.
        until(lambda: not os.listdir(os.path.join(self.daemon.state, "staging")))

    def test_beside_imports_and_jobs(self):
        """What is taken while pictures come and jobs run is one moment: fsck finds all of it."""
        self.daemon.post(f"{V1}/datasets", {"name": "busy"}, 201)

        def work(i):
            files = {f"red/{i}-{n}.png": png(30, 30, (i * 11 % 256, n, 9), n) for n in range(20)}
            self.daemon.post(f"{V1}/datasets/busy/import", tar(files), 200)
            if i % 4 == 0:
                job = self.daemon.post(f"{V1}/models/colors/retrain", {"seed": 100 + i}, 202).json
                self.daemon.wait_job(job["id"])

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            running = [pool.submit(work, i) for i in range(12)]
            taken = [self.daemon.request("GET", f"{V1}/backup", expect=200).body for _ in range(3)]
            [one.result() for one in running]
        for number, archive in enumerate(taken):
            state = f"{self.state}-{number}"
            self.assertEqual(restore(state, archive).returncode, 0)
            checked = subprocess.run([KENNELD, "fsck", "--state", state], capture_output=True, text=True)
            self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_the_command(self):
        run = lambda *words: subprocess.run([KENNEL, "--url", self.daemon.url, *words], capture_output=True,
                                            text=True, timeout=120, env=ENV)
        file = os.path.join(self.folder, "kennel.tar")
        told = run("backup", file)
        self.assertEqual((told.returncode, told.stdout), (0, file + "\n"), told.stderr)
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(self.folder), ["kennel.tar"])
        self.assertEqual(run("restore", file).returncode, 2)
        self.assertEqual(run("restore", file, "--state", self.state).returncode, 0)
        self.assertEqual(run("restore", file, "--state", self.state).returncode, 4)
        self.assertEqual(run("fsck", "--state", self.state).returncode, 0)
        blob = next(name for name, _ in members(self.archive) if name.startswith("blobs/"))
        os.remove(os.path.join(self.state, blob))
        told = run("fsck", "--state", self.state)
        self.assertEqual(told.returncode, 4)
        self.assertIn(os.path.basename(blob) + ": missing", told.stdout)
        self.assertEqual(run("fsck").returncode, 2)
        self.assertEqual(run("backup", "/nonexistent/kennel.tar").returncode, 4)

    def test_a_damaged_archive_is_refused(self):
        files = members(self.archive)
        self.refused(self.archive[:-30000], "cut off")
        self.refused(self.archive[:700], "cut off")
        self.refused(b"", "no tar")
        self.refused(os.urandom(5000), "no tar")
        self.refused(tar({"red/1.png": PICTURES[0]}), "no backup")
        self.refused(repack(files[:-1]), "cut off")
        self.refused(repack(files + [("blobs/more", b"x")]), "does not belong")
        flipped = bytes([files[-1][1][0] ^ 1]) + files[-1][1][1:]
        self.refused(repack(files[:-1] + [(files[-1][0], flipped)]), "does not have its digest")
        flipped = files[1][1][:-1] + bytes([files[1][1][-1] ^ 1])
        self.refused(repack([files[0], (files[1][0], flipped), *files[2:]]), "does not have its digest")
        # One blob for another, both whole.
        twice = repack(files[:-1] + [files[-2]])
        self.refused(twice, "")
        self.refused(repack(files[:-1] + [("blobs/sha256/../../../evil", b"x")]), "does not belong")
        # And the whole one still can be restored there.
        self.assertEqual(restore(self.state, self.archive).returncode, 0)

    def test_a_newer_one_is_refused(self):
        files = members(self.archive)
        for change in ({"schema": 9999}, {"format": 2}):
            head = json.dumps({**json.loads(files[0][1]), **change}).encode()
            self.refused(repack([(files[0][0], head), *files[1:]]), "newer")

    def test_only_an_empty_folder(self):
        self.refused(self.archive, "owns the state folder", self.daemon.state)
        os.makedirs(self.state)
        with open(os.path.join(self.state, "notes.txt"), "w") as file:
            file.write("mine")
        self.refused(self.archive, "notes.txt")
        with open(os.path.join(self.state, "notes.txt")) as file:
            self.assertEqual(file.read(), "mine")

    def test_a_missing_blob_is_named_before_anything_is_sent(self):
        digest = os.path.basename(next(n for n, _ in members(self.archive) if n.startswith("blobs/")))
        path = os.path.join(self.daemon.state, "blobs", "sha256", digest[:2], digest)
        os.rename(path, path + ".away")
        self.addCleanup(os.rename, path + ".away", path)
        reply = self.daemon.request("GET", f"{V1}/backup")
        self.assertEqual((reply.status, reply.code), (500, "blob_missing"))
        told = subprocess.run([KENNEL, "--url", self.daemon.url, "backup", os.path.join(self.folder, "k.tar")],
                              capture_output=True, text=True)
        self.assertEqual(told.returncode, 4)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_changed_blob_breaks_it_off(self):
        name, data = next((n, d) for n, d in members(self.archive) if n.startswith("blobs/"))
        path = os.path.join(self.daemon.state, name)
        with open(path, "r+b") as file:
            file.write(bytes([data[0] ^ 1]))
        try:
            told = subprocess.run([KENNEL, "--url", self.daemon.url, "backup", os.path.join(self.folder, "k.tar")],
                                  capture_output=True, text=True)
        finally:
            with open(path, "r+b") as file:
                file.write(data[:1])
        self.assertNotEqual(told.returncode, 0)
        self.assertEqual(os.listdir(self.folder), [])
        until(lambda: any("backup_broken_off" in line and os.path.basename(name) in line for line in self.daemon.log))

    def test_slow_readers_hold_nobody_up_for_long(self):
        """Two backups at a time, and a reader that drips is broken off; imports go on beside them."""
        daemon = Daemon("--idle-seconds", "2", "--task-threads", "8")
        self.addCleanup(daemon.stop)
        daemon.post(f"{V1}/datasets", {"name": "large"}, 201)
        # A sound picture with random bytes in a chunk that is passed over: no socket's buffer takes as many.
        noise = os.urandom(12 << 20)
        chunk = struct.pack(">I", len(noise)) + b"teSt" + noise + struct.pack(">I", zlib.crc32(b"teSt" + noise))
        picture = png(40, 36, (9, 9, 9))
        daemon.request("PUT", f"{V1}/datasets/large/images?label=red", picture[:33] + chunk + picture[33:], PNG,
                       expect=200)
        dripping = threading.Event()
        readers = []
        for _ in range(2):
            s = socket.socket()
            self.addCleanup(s.close)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(60)
            s.connect(("127.0.0.1", daemon.port))
            s.sendall(f"GET {V1}/backup HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertTrue(s.recv(500).startswith(b"HTTP/1.1 200"))
            readers.append(s)

        def drip():
            try:
                while not dripping.wait(0.05) and all(s.recv(512) for s in readers):
                    pass
            except OSError:
                pass

        thread = threading.Thread(target=drip)
        thread.start()
        third = daemon.request("GET", f"{V1}/backup")
        self.assertEqual((third.status, third.code), (503, "busy"))
        self.assertTrue(third.header("Retry-After"))
        daemon.post(f"{V1}/datasets/large/import", tar(color_files(1)), 200)
        until(lambda: sum("backup_broken_off" in line for line in daemon.log) == 2)
        dripping.set()
        thread.join()
        self.assertGreater(len(daemon.request("GET", f"{V1}/backup", expect=200).body), len(noise))

    def test_a_client_that_goes_away(self):
        with self.daemon.socket() as s:
            s.sendall(f"GET {V1}/backup HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 200"))
        self.assertTrue(self.daemon.healthy())
        self.assertEqual(self.daemon.request("GET", f"{V1}/backup", expect=200).status, 200)


if __name__ == "__main__":
    unittest.main()
