"""Scoring stays right and answers whatever happens beside it: deadlines, a full queue, clients that go away or are
slow, thousands of idle connections, more models than memory, a version that is broken, versions that change."""
import contextlib
import glob
import os
import re
import resource
import shutil
import socket
import ssl
import tempfile
import threading
import unittest

from kennel_test import COLORS, V1, Case, Daemon, color_files, make_certificate, make_model, png, png_file, tar, until
from test_metrics import read

PICTURE = png(40, 36, (198, 62, 52), 77)
# Takes a scoring thread long enough for others to queue up behind it.
SLOW_PICTURE = png_file(6000, 6000, 8, 0, (b"\0" + bytes(range(250)) * 24) * 6000)
PATH = f"{V1}/models/colors/score"
LOOKS = {"red": (200, 60, 50), "green": (60, 190, 70), "blue": (50, 70, 200), "white": (240, 240, 240)}
# The sanitizers keep freed memory for a while.
PLAIN_BUILD = bool(os.environ.get("KENNEL_FAULT_SHIM"))


def send_score(daemon, picture, *headers):
    """A socket with a request for a score on its way, unread."""
    sock = daemon.socket()
    head = [f"POST {PATH} HTTP/1.1", "Host: x", "Connection: close", "Content-Type: image/png",
            f"Content-Length: {len(picture)}", *headers]
    sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + picture)
    return sock


def read_all(sock):
    got = b""
    try:
        while part := sock.recv(65536):
            got += part
    except ConnectionResetError:
        pass
    sock.close()
    return got


def resident(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        return 1024 * int(re.search(r"VmRSS:\s*(\d+)", file.read()).group(1))


class Queue(Case):
    options = ("--score-threads", "1", "--score-queue", "2")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, "colors")

    def taken(self):
        return read(self.daemon).get("kennel_score_batch_pictures_sum")

    def waiting(self):
        return read(self.daemon).get("kennel_score_queue_pictures")

    def dropped(self, reason):
        return read(self.daemon).get("kennel_score_dropped_total", reason=reason)

    def occupy(self):
        """The one scoring thread has work, and nothing waits."""
        until(lambda: self.waiting() == 0)
        before = self.taken()
        sock = send_score(self.daemon, SLOW_PICTURE)
        until(lambda: self.taken() > before)
        return sock

    def test_deadline(self):
        for timeout in ("1", "600000"):
            got = self.daemon.post(PATH, b"no picture", headers={"X-Kennel-Timeout-Ms": timeout})
            self.assertIn(got.status, (422, 504), got)
        self.daemon.post(PATH, PICTURE, 200, {"X-Kennel-Timeout-Ms": "600000"})
        for timeout in ("0", "600001", "-1", "1.5", "soon", "9" * 40):
            got = self.daemon.post(PATH, PICTURE, headers={"X-Kennel-Timeout-Ms": timeout})
            self.assertIn("600000", self.refused(got, 400, "field_range").json["detail"])
        before = self.dropped("deadline")
        first = self.occupy()
        got = self.daemon.post(PATH, PICTURE, headers={"X-Kennel-Timeout-Ms": "1"})
        self.refused(got, 504, "deadline")
        self.assertIn(b" 200 OK", read_all(first))
        self.assertEqual(self.dropped("deadline"), before + 1)

    def test_full_queue(self):
        before = self.dropped("busy")

        def attempt():
            """Both places are taken, unless the thread was faster than this test."""
            socks = [self.occupy()]
            for places in (1, 2):
                socks.append(send_score(self.daemon, SLOW_PICTURE))
                until(lambda n=places, all=len(socks): self.waiting() >= n or self.waiting() == 0)
            reply = self.daemon.post(PATH, PICTURE)
            self.assertTrue(self.daemon.healthy())
            for sock in socks:
                self.assertIn(b" 200 OK", read_all(sock))
            return reply if reply.status != 200 else None

        reply = self.refused(until(attempt), 503, "busy")
        self.assertEqual(reply.header("Retry-After"), "1")
        self.assertIn("2", reply.json["detail"])
        self.assertEqual(self.dropped("busy"), before + 1)
        self.daemon.post(PATH, PICTURE, 200)

    def test_a_client_that_goes_away_frees_its_place(self):
        before = self.dropped("client_gone")

        def attempt():
            first = self.occupy()
            gone = [send_score(self.daemon, SLOW_PICTURE) for _ in range(2)]
            until(lambda: self.waiting() in (0, 2))
            for sock in gone:
                self.leave(sock)
            self.assertIn(b" 200 OK", read_all(first))
            until(lambda: self.waiting() == 0)
            return self.dropped("client_gone") >= before + 1

        until(attempt)
        self.daemon.post(PATH, PICTURE, 200)

    def leave(self, sock):
        sock.close()


@unittest.skipUnless(shutil.which("openssl"), "needs the program openssl to make certificates")
class TlsQueue(Queue):
    """The same over TLS, from clients that say goodbye before they close."""
    newest = ssl.TLSVersion.TLSv1_3

    def setUp(self):
        self.left = []

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.daemon = Daemon(*cls.options, certificate=make_certificate(cls.folder.name))
        cls.daemon.tls.maximum_version = cls.newest
        make_model(cls.daemon, "colors")

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def leave(self, sock):
        sock.setblocking(False)
        self.left.append(sock)
        with contextlib.suppress(ssl.SSLError):  # there is no goodbye of the server while it works
            sock.unwrap()
        with contextlib.suppress(OSError):  # it was faster, and is gone itself
            sock.shutdown(socket.SHUT_WR)

    def tearDown(self):
        for sock in self.left:
            sock.close()


class OldTlsQueue(TlsQueue):
    newest = ssl.TLSVersion.TLSv1_2


class Rude(unittest.TestCase):
    def test_idle_connections(self):
        """More than the soft limit of open files that a shell often gives."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 5000:
            self.skipTest(f"at most {hard} open files are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        try:
            daemon = Daemon("--idle-seconds", "600")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 5000), hard))
        make_model(daemon, "colors")
        before = resident(daemon)
        socks = []
        for _ in range(2000):
            sock = daemon.socket()
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            socks.append(sock)
        for sock in socks:
            self.assertTrue(sock.recv(4096).startswith(b"HTTP/1.1 200 OK"))
        daemon.post(PATH, PICTURE, 200)
        if PLAIN_BUILD:
            self.assertLess(resident(daemon) - before, 2000 * (64 << 10) + (32 << 20))
        for sock in socks[::100]:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertTrue(read_all(sock).startswith(b"HTTP/1.1 200 OK"))
        for sock in socks:
            sock.close()
        daemon.post(PATH, PICTURE, 200)
        daemon.stop()

    def test_a_score_beside_slow_halves_and_huge_headers(self):
        daemon = Daemon("--idle-seconds", "600", "--http-threads", "1")
        make_model(daemon, "colors")
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(PICTURE)}\r\n\r\n".encode()
        halves = [daemon.socket() for _ in range(60)]
        for i, sock in enumerate(halves):
            sock.sendall((b"GET / HT", head[:-2], head + PICTURE[:50])[i % 3])
        daemon.post(PATH, PICTURE, 200)
        slow = daemon.socket()
        for at, byte in enumerate(head.replace(b"Host", b"Connection: close\r\nHost") + PICTURE):
            slow.sendall(bytes([byte]))
            if at % 40 == 0:
                daemon.post(PATH, PICTURE, 200)
        self.assertIn(b" 200 OK", read_all(slow))
        huge = daemon.socket()
        try:
            huge.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Big: ")
            for _ in range(100):
                huge.sendall(b"a" * 100000)
                daemon.post(PATH, PICTURE, 200)
        except (ConnectionResetError, BrokenPipeError):
            pass
        self.assertNotIn(b"200 OK", read_all(huge))
        daemon.post(PATH, PICTURE, 200)
        for sock in halves:
            sock.close()
        daemon.post(PATH, PICTURE, 200)
        daemon.stop()


class Budget(Case):
    options = ("--plan-memory", "1")

    def test_three_models_where_one_has_room(self):
        names = ("one", "two", "three")
        for name in names:
            make_model(self.daemon, name, colors={f"{name}-{label}": c for label, c in COLORS.items()})
        want = {}
        for turn in range(3):
            for name in names:
                got = self.daemon.post(f"{V1}/models/{name}/score", PICTURE, 200).json
                self.assertEqual((got["model"], got["predictions"][0]["label"]), (name, f"{name}-red"))
                self.assertEqual(want.setdefault(name, got["predictions"]), got["predictions"])
                self.assertEqual(read(self.daemon).get("kennel_loaded_versions"), 1)
        self.assertGreaterEqual(read(self.daemon).get("kennel_unloads_total"), 8)
        self.assertEqual(self.daemon.get("/readyz")["ready"], True)


class Broken(Case):
    def test_a_broken_version_does_not_come_into_production(self):
        make_model(self.daemon, "colors")
        job = self.daemon.post(f"{V1}/models/colors/retrain", {"recipe": {"penalty": 5.0}}, 202).json["id"]
        version = self.daemon.wait_job(job)["version"]
        want = self.daemon.post(PATH, PICTURE, 200).json["predictions"]
        digest = self.daemon.get(f"{V1}/models/colors/versions/{version}")["digest"].removeprefix("sha256:")
        (path,) = glob.glob(os.path.join(self.daemon.state, "**", digest), recursive=True)
        with open(path, "rb") as file:
            good = file.read()
        force = {"version": version, "force": True, "reason": "it is broken"}
        for bad, code in ((good[:-1] + bytes([good[-1] ^ 1]), "blob_corrupt"), (None, "blob_missing")):
            os.remove(path)
            if bad is not None:
                with open(path, "wb") as file:
                    file.write(bad)
            self.refused(self.daemon.post(f"{V1}/models/colors/promote", force), 500, code)
            got = self.daemon.post(PATH, PICTURE, 200).json
            self.assertEqual((got["version"], got["predictions"]), (1, want))
            self.assertEqual(self.daemon.get(f"{V1}/models/colors")["production"], 1)
            if bad is None:
                break
        with open(path, "wb") as file:
            file.write(good)
        self.daemon.post(f"{V1}/models/colors/promote", force, 200)
        self.assertEqual(self.daemon.post(PATH, PICTURE, 200).json["version"], version)


class Swap(Case):
    def test_answers_belong_together_while_versions_change(self):
        """Two models, each between two versions with other labels."""
        versions, want = {}, {}
        for name in ("left", "right"):
            make_model(self.daemon, name)
            self.daemon.post(f"{V1}/datasets/{name}/import",
                             tar(color_files(12, {f"{name}-white": LOOKS["white"]})), 200)
            job = self.daemon.post(f"{V1}/models/{name}/retrain", {"seed": 1}, 202).json["id"]
            versions[name] = self.daemon.wait_job(job)["version"]
            for version in (1, versions[name]):
                want[name, version] = self.daemon.post(f"{V1}/models/{name}/versions/{version}/score", PICTURE,
                                                       200).json["predictions"]
            self.assertEqual([len(want[name, v]) for v in (1, versions[name])], [3, 4])
        stop, wrong, seen = threading.Event(), [], set()

        def run(name):
            connection = self.daemon.connect()
            while not stop.is_set():
                reply = self.daemon.request("POST", f"{V1}/models/{name}/score", PICTURE, connection=connection)
                got = reply.json
                if reply.status != 200 or got["predictions"] != want[name, got["version"]]:
                    wrong.append(reply)
                else:
                    seen.add((got["model"], got["version"]))
            connection.close()

        threads = [threading.Thread(target=run, args=(name,)) for name in ("left", "right") * 2]
        for thread in threads:
            thread.start()
        memory = []
        try:
            for _ in range(50):
                for name in ("left", "right"):
                    force = {"version": versions[name], "force": True, "reason": "back and forth"}
                    self.daemon.post(f"{V1}/models/{name}/promote", force, 200)
                    self.daemon.post(f"{V1}/models/{name}/rollback", None, 200)
                memory.append(resident(self.daemon))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(seen, set(want))
        if PLAIN_BUILD:
            self.assertLess(memory[-1] - memory[len(memory) // 4], 8 << 20, memory)


if __name__ == "__main__":
    unittest.main()
