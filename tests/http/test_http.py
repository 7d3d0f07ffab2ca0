"""HTTP itself: senders that are slow, half or gone, many that wait, limits at the limit and one past it."""
import concurrent.futures
import http.client
import itertools
import json
import socket
import threading
import time
import unittest

from kennel_test import KENNELD, PRISM, V1, Case, Daemon, color_files, make_model, png, tar, tiny_backbone, until

JSON_MAX = 1 << 20


def read_all(sock):
    data = b""
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


class Routing(Case):
    def test_health(self):
        reply = self.daemon.request("GET", "/")
        self.assertEqual((reply.status, reply.body), (200, b"Healthy"))
        self.assertEqual(reply.header("Content-Type"), "text/plain")
        self.assertEqual(self.daemon.request("GET", "/livez").status, 200)
        self.assertEqual(self.daemon.get("/readyz"), {"ready": True, "default_model": None})

    @unittest.skipIf(PRISM, "the proxy writes JSON anew")
    def test_head_is_get_without_body(self):
        for path in ("/", "/openapi.json", f"{V1}/datasets"):
            get, head = self.daemon.request("GET", path), self.daemon.request("HEAD", path)
            self.assertEqual(head.status, 200)
            self.assertEqual(head.body, b"")
            self.assertEqual(head.header("Content-Length"), str(len(get.body)))

    def test_unknown_paths(self):
        for path in ("/nope", "/api/v1", "/api/v1/", "/api/v1/datasets/", "/api/v1/datasets//versions", "//",
                     "/score/", "/%00", "/api/v1/models/a/versions/1/x"):
            self.refused(self.daemon.request("GET", path), 404, "route_unknown")

    def test_a_zero_byte_does_not_cut_a_name_short(self):
        self.daemon.post(f"{V1}/datasets", {"name": "whole"}, 201)
        self.refused(self.daemon.request("GET", f"{V1}/datasets/whole%00x"), 404, "dataset_unknown")

    def test_an_encoded_slash_is_no_slash(self):
        """Else a proxy's rule for /models/x/promote could be walked around."""
        for path in (f"{V1}%2fdatasets", "/api%2Fv1/datasets", f"{V1}/models/x%2Fversions", "/%2f"):
            self.refused(self.daemon.request("GET", path), 404, "route_unknown")
        self.refused(self.daemon.request("GET", f"{V1}/jobs?model=a%2Fb"), 404, "model_unknown")

    def test_method_not_allowed_says_what_is(self):
        reply = self.refused(self.daemon.request("DELETE", "/score"), 405, "method_not_allowed")
        self.assertEqual(reply.header("Allow"), "POST")
        reply = self.refused(self.daemon.request("PUT", f"{V1}/datasets"), 405, "method_not_allowed")
        self.assertEqual(reply.header("Allow"), "POST, GET, HEAD")

    def test_unknown_query_parameter(self):
        self.refused(self.daemon.request("GET", f"{V1}/datasets?x=1"), 400, "field_unknown")

    def test_too_many_query_parameters(self):
        self.assertEqual(self.daemon.request("GET", "/?" + "&".join("abcdefghijklmnop")).status, 200)
        self.refused(self.daemon.request("GET", "/?" + "&".join("abcdefghijklmnopq")), 400, "field_unknown")

    def test_query_out_of_range(self):
        for query in ("limit=0", "limit=1001", "limit=x", "limit=", "limit=1e3", "state=done"):
            self.refused(self.daemon.request("GET", f"{V1}/jobs?{query}"), 400, "field_range")

    def test_request_id(self):
        reply = self.daemon.request("GET", "/", headers={"X-Request-Id": "trace-1.a"})
        self.assertEqual(reply.header("X-Request-Id"), "trace-1.a")
        for bad in ("a b", "x" * 65, "<script>"):
            reply = self.daemon.request("GET", "/", headers={"X-Request-Id": bad})
            self.assertRegex(reply.header("X-Request-Id"), "^[0-9a-f]{32}$")
        first, second = (self.daemon.request("GET", "/").header("X-Request-Id") for _ in range(2))
        self.assertNotEqual(first, second)

    def test_security_headers(self):
        for path in ("/", f"{V1}/datasets", "/nope"):
            reply = self.daemon.request("GET", path)
            self.assertEqual(reply.header("X-Content-Type-Options"), "nosniff")
            self.assertEqual(reply.header("Cache-Control"), "no-store")

    def test_every_route_is_described_and_the_other_way_round(self):
        document = self.daemon.get("/openapi.json")
        self.assertEqual(document["openapi"], "3.1.0")
        for template, operations in document["paths"].items():
            path = template.replace("{v}", "1").replace("{", "").replace("}", "")
            reply = self.daemon.request("TRACE", path)
            self.assertEqual(reply.code, "method_not_allowed", template)
            allowed = set(reply.header("Allow").split(", ")) - {"HEAD"}
            self.assertEqual(allowed, {m.upper() for m in operations}, template)

    def test_swagger(self):
        document = self.daemon.get("/swagger.json")
        self.assertEqual(document["swagger"], "2.0")
        self.assertIn("/score", document["paths"])


class Connections(Case):
    options = ("--idle-seconds", "2", "--max-connections", "600")

    def test_keep_alive(self):
        connection = self.daemon.connect()
        for i in range(50):
            self.assertTrue(self.daemon.request("GET", "/", connection=connection).status == 200)
            sock = sock if i else connection.sock
            self.assertIs(connection.sock, sock)
            self.daemon.request("POST", f"{V1}/datasets", "{", connection=connection)
            self.assertIs(connection.sock, sock, "a refusal must not cost the connection")
            self.daemon.request("DELETE", "/score", connection=connection)
            self.daemon.request("GET", "/nope", connection=connection)
            self.assertIs(connection.sock, sock, "nor must these")
        connection.close()

    def test_pipelined_requests(self):
        with self.daemon.socket() as sock:
            one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
            last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            sock.sendall(one * 4 + last)
            self.assertEqual(read_all(sock).count(b"\r\n\r\nHealthy"), 5)

    @unittest.skipIf(PRISM, "the proxy keeps connections of its own")
    def test_half_a_request_is_closed(self):
        with self.daemon.socket() as head, self.daemon.socket() as body:
            head.sendall(b"GET / HTT")
            body.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"da")
            self.assertTrue(self.daemon.healthy())
            read_all(head)
            read_all(body)
        self.assertTrue(self.daemon.healthy())

    def test_slow_sender(self):
        body = b'{"name": "slowly"}'
        with self.daemon.socket() as sock:
            head = b"POST /api/v1/datasets HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            for byte in head % len(body) + body:
                sock.sendall(bytes([byte]))
            self.assertIn(b"201 Created", read_all(sock))

    def test_many_idle_connections(self):
        socks = [self.daemon.socket() for _ in range(300)]
        self.assertTrue(self.daemon.healthy())
        for sock in socks[::3]:
            sock.sendall(b"GET / HTTP/1.1\r\n")
        self.assertTrue(self.daemon.healthy())
        for sock in socks:
            sock.close()
        self.assertTrue(self.daemon.healthy())

    def test_huge_header(self):
        with self.daemon.socket() as sock:
            try:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Big: ")
                for _ in range(100):
                    sock.sendall(b"a" * 100000)
            except (ConnectionResetError, BrokenPipeError):
                pass
            self.assertNotIn(b"200 OK", read_all(sock))
        self.assertTrue(self.daemon.healthy())

    def test_long_uri(self):
        with self.daemon.socket() as sock:
            try:
                sock.sendall(b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            except (ConnectionResetError, BrokenPipeError):
                pass
            self.assertNotIn(b"200 OK", read_all(sock))
        self.refused(self.daemon.request("GET", "/" + "a" * 1100), 404, "route_unknown")

    def test_not_http(self):
        for junk in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\0" * 100, b"\r\n\r\n", b"GET\r\n\r\n"):
            with self.daemon.socket() as sock:
                sock.sendall(junk)
                sock.shutdown(socket.SHUT_WR)
                self.assertNotIn(b"200 OK", read_all(sock))
        self.assertTrue(self.daemon.healthy())


class Bodies(Case):
    options = ("--max-picture-bytes", "100000", "--max-upload", "1000000", "--task-threads", "4")

    def test_json_at_the_limit_and_one_past_it(self):
        head, tail = '{"name": "', '"}'
        for extra, status, code in ((0, 400, "name_syntax"), (1, 413, "body_too_large")):
            body = head + "a" * (JSON_MAX - len(head) - len(tail) + extra) + tail
            self.refused(self.daemon.post(f"{V1}/datasets", body), status, code)

    def test_chunked_json(self):
        for size, code in ((JSON_MAX // 2, "name_syntax"), (JSON_MAX + 1, "body_too_large")):
            body = iter([b'{"name": "', b"a" * size, b'"}'])
            self.assertEqual(self.daemon.post(f"{V1}/datasets", body).code, code)
        self.assertEqual(self.daemon.post(f"{V1}/datasets", iter([b'{"na', b'me": "chunked"}'])).status, 201)

    def test_picture_at_the_limit_and_one_past_it(self):
        self.daemon.post(f"{V1}/datasets", {"name": "limits"}, 201)
        path = f"{V1}/datasets/limits/images?label=red"
        picture = png(40, 40, (200, 50, 50))
        whole = picture + b"\0" * (100000 - len(picture))
        self.assertEqual(self.daemon.request("PUT", path, whole).status, 200)
        self.refused(self.daemon.request("PUT", path, whole + b"\0"), 413, "body_too_large")
        self.assertEqual(self.daemon.get(f"{V1}/datasets/limits")["version"], 1)

    def test_upload_at_the_limit_and_one_past_it(self):
        self.daemon.post(f"{V1}/datasets", {"name": "uploads"}, 201)
        path = f"{V1}/datasets/uploads/import"
        archive = tar({"red/a.png": png(40, 40, (200, 50, 50))})
        whole = archive + b"\0" * (1000000 - len(archive))
        self.refused(self.daemon.post(path, whole + b"\0"), 413, "body_too_large")
        pieces = [whole[i:i + 50000] for i in range(0, len(whole), 50000)]
        self.refused(self.daemon.post(path, iter(pieces + [b"\0"])), 413, "body_too_large")
        self.assertIsNone(self.daemon.get(f"{V1}/datasets/uploads")["version"])
        self.assertEqual(self.daemon.post(path, iter(pieces)).json["added"], 1)

    def test_client_gone_in_the_middle_of_an_upload(self):
        self.daemon.post(f"{V1}/datasets", {"name": "gone"}, 201)
        archive = tar(color_files(20))
        for head in (b"Content-Length: %d" % len(archive), b"Transfer-Encoding: chunked"):
            for share in (0, 10, 1000, len(archive) // 2):
                with self.daemon.socket() as sock:
                    piece = archive[:share]
                    if b"chunked" in head:
                        piece = b"%x\r\n" % len(archive) + piece
                    sock.sendall(b"POST /api/v1/datasets/gone/import HTTP/1.1\r\nHost: x\r\n" + head
                                 + b"\r\n\r\n" + piece)
                self.assertTrue(self.daemon.healthy())
        # Uploads that broke off give their places back, and leave the dataset as it was.
        until(lambda: self.daemon.post(f"{V1}/datasets/gone/import", b"x").status != 503)
        self.assertIsNone(self.daemon.get(f"{V1}/datasets/gone")["version"])
        self.assertEqual(self.daemon.post(f"{V1}/datasets/gone/import", archive, 200).json["added"], 60)

    def test_uploads_do_not_starve_the_others(self):
        self.daemon.post(f"{V1}/datasets", {"name": "starve"}, 201)
        head = (b"POST /api/v1/datasets/starve/import HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                b"Content-Length: 900000\r\n\r\n")

        def begin():
            sock = self.daemon.socket()
            sock.sendall(head)
            if sock.recv(1000).startswith(b"HTTP/1.1 100 "):
                return sock
            sock.close()
            return None

        open_ones = [until(begin) for _ in range(2)]  # half of the four task threads
        reply = self.refused(self.daemon.post(f"{V1}/datasets/starve/import", b"x"), 503, "busy")
        self.assertTrue(reply.header("Retry-After"))
        for _ in range(20):
            self.assertEqual(self.daemon.request("GET", f"{V1}/datasets").status, 200)
        for sock in open_ones:
            sock.close()
        until(lambda: self.daemon.post(f"{V1}/datasets/starve/import", b"x").status != 503)

    def test_expect_continue_learns_before_it_sends(self):
        def ask():
            with self.daemon.socket() as sock:
                sock.sendall(b"POST /api/v1/datasets/nobody/import HTTP/1.1\r\nHost: x\r\n"
                             b"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
                return read_all(sock)

        until(lambda: b"503" not in ask())  # uploads of other tests, whose clients went away
        reply = ask()
        self.assertTrue(reply.startswith(b"HTTP/1.1 404"), reply)
        self.assertIn(b"dataset_unknown", reply)

    def test_refusals_come_before_the_body(self):
        head = b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n"
        expect = b"Expect: 100-continue\r\n"
        for path, extra, size, code in ((b"/nope", expect, 1000, b"route_unknown"),
                                        (b"/api/v1/datasets", expect, JSON_MAX + 1, b"body_too_large"),
                                        (b"/api/v1/datasets", b"", 10 ** 12, b"body_too_large")):
            with self.daemon.socket() as sock:
                sock.sendall(head % (path, extra, size))
                self.assertIn(code, read_all(sock))

    def test_expect_continue_goes_on(self):
        self.daemon.post(f"{V1}/datasets", {"name": "expect"}, 201)
        archive = tar({"red/a.png": png(40, 40, (200, 50, 50))})
        with self.daemon.socket() as sock:
            sock.sendall(b"POST /api/v1/datasets/expect/import HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                         b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(archive))
            self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 100 "))
            sock.sendall(archive)
            self.assertIn(b'"added":1', read_all(sock))

    def test_a_body_that_nobody_wants_is_thrown_away(self):
        connection = self.daemon.connect()
        for method, path in (("GET", "/"), ("POST", "/nope"), ("PUT", "/score")):
            self.daemon.request(method, path, b"x" * 3000000, connection=connection)
            self.assertIsNotNone(connection.sock)
        connection.close()

    def test_media_types(self):
        for path, kind in ((f"{V1}/datasets", "multipart/form-data; boundary=x"),
                           (f"{V1}/datasets", "image/jpeg"), ("/score", "multipart/form-data"),
                           (f"{V1}/datasets/x/import", "video/mp4"), (f"{V1}/models/x/score", "text/html")):
            reply = self.daemon.post(path, b"{}", headers={"Content-Type": kind})
            self.refused(reply, 415, "media_type")

    def test_unknown_transfer_codings_are_refused_at_once(self):
        for coding in (b"gzip", b"identity", b"chunked, gzip"):
            with self.daemon.socket(timeout=10) as sock:
                sock.sendall(b"POST /api/v1/datasets HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: " + coding
                             + b"\r\n\r\n{}")
                # 415 is ours; a newer libmicrohttpd refuses them itself.
                self.assertRegex(read_all(sock), rb"^HTTP/1.1 4(00|15) ")

    def test_curls_default_type_is_taken(self):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        self.daemon.post(f"{V1}/datasets", '{"name": "form"}', 201, form)


class Places(Case):
    options = ("--task-threads", "4")

    def test_uploads_one_after_the_other_find_a_place(self):
        """A client that has its reply may send the next upload at once."""
        self.daemon.post(f"{V1}/datasets", {"name": "serial"}, 201)
        archive = tar({"red/a.png": png(40, 40, (200, 50, 50))})
        threads = [threading.Thread(target=lambda: [self.daemon.post(f"{V1}/datasets/serial/import", archive, 200)
                                                    for _ in range(50)]) for _ in range(2)]
        failed = []
        hook, threading.excepthook = threading.excepthook, failed.append
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        threading.excepthook = hook
        self.assertEqual(failed, [])


class Memory(Case):
    def test_memory_does_not_grow_with_an_upload(self):
        with open(KENNELD, "rb") as file:
            program = file.read()
            if any(name in program for name in (b"libasan", b"libtsan", b"__asan_init", b"__tsan_init")):
                self.skipTest("a sanitizer keeps freed memory")
        self.daemon.post(f"{V1}/datasets", {"name": "big"}, 201)
        member = tar({"red/a.png": b"no picture" * 102400})[:512 + 1024000]  # without the end
        peaks = []
        for count in (20, 300):
            pieces = itertools.chain(itertools.repeat(member, count), [bytes(1024)])
            report = self.daemon.post(f"{V1}/datasets/big/import", pieces, 200).json
            self.assertEqual(report["rejected_count"], count)
            peaks.append(self.peak())
        self.assertLess(peaks[1] - peaks[0], 30e6, "300 MB through the ring took memory")

    def peak(self):
        with open(f"/proc/{self.daemon.process.pid}/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


class Waiting(Case):
    def test_many_parked_waits(self):
        make_model(self.daemon, "parked", train=False)
        done = []
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            job = self.daemon.post(f"{V1}/models/parked/retrain", {}, 202).json["id"]
            waits = [pool.submit(self.daemon.get, f"{V1}/jobs/{job}?wait=60") for _ in range(64)]
            for wait in waits:
                done.append(wait.result()["state"])
        self.assertEqual(set(done), {"succeeded"})

    def test_a_wait_ends_with_its_time(self):
        make_model(self.daemon, "timed", train=False)
        # A job that waits behind another one of the same model.
        ids = [self.daemon.post(f"{V1}/models/timed/retrain", {"seed": i}, 202).json["id"] for i in range(4)]
        began = time.monotonic()
        self.daemon.get(f"{V1}/jobs/{ids[-1]}?wait=1")
        self.assertLess(time.monotonic() - began, 10)
        for one in ids:
            self.daemon.wait_job(one)

    def test_bad_waits(self):
        self.refused(self.daemon.request("GET", f"{V1}/jobs/none?wait=5"), 404, "job_unknown")
        for wait in ("61", "-1", "x"):
            self.refused(self.daemon.request("GET", f"{V1}/jobs/none?wait={wait}"), 400, "field_range")

    def test_a_client_that_goes_away_while_it_waits(self):
        make_model(self.daemon, "left", train=False)
        job = self.daemon.post(f"{V1}/models/left/retrain", {}, 202).json["id"]
        for _ in range(20):
            with self.daemon.socket() as sock:
                sock.sendall(f"GET {V1}/jobs/{job}?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.assertEqual(self.daemon.wait_job(job)["state"], "succeeded")


class Stopping(unittest.TestCase):
    def test_stop_with_waits_and_uploads_in_flight(self):
        daemon = Daemon()
        make_model(daemon, "busy", train=False)
        # An upload that is half there, and waits for a job that will not end before the server does.
        upload = daemon.socket()
        upload.sendall(b"POST /api/v1/datasets/busy/import HTTP/1.1\r\nHost: x\r\n"
                       b"Content-Length: 100000\r\n\r\n" + tar({"red/a.png": b"x"})[:600])
        half = daemon.socket()
        half.sendall(b"POST /api/v1/datasets HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        jobs = [daemon.post(f"{V1}/models/busy/retrain", {"seed": i}, 202).json["id"] for i in range(8)]
        answers = []

        def wait():
            connection = daemon.connect()
            try:
                connection.request("GET", f"{V1}/jobs/{jobs[-1]}?wait=60")
                answers.append(json.loads(connection.getresponse().read()))
            except (ConnectionError, http.client.HTTPException) as gone:
                answers.append({"gone": str(gone)})  # it came when the server was no longer there
            connection.close()

        threads = [threading.Thread(target=wait) for _ in range(8)]
        for thread in threads:
            thread.start()
        until(daemon.healthy)
        began = time.monotonic()
        daemon.stop()
        for thread in threads:
            thread.join()
        self.assertLess(time.monotonic() - began, 30)
        for answer in answers:
            self.assertTrue("gone" in answer or answer.get("code") == "busy" or "state" in answer, answer)
        upload.close()
        half.close()

    def test_beyond_loopback_is_refused(self):
        with self.assertRaisesRegex(RuntimeError, "allow-remote"):
            Daemon("--listen", "0.0.0.0:0")
        for bad in ("127.0.0.1", "127.0.0.1:99999", ":80", "::1:80"):
            with self.assertRaisesRegex(RuntimeError, "cannot listen"):
                Daemon("--listen", bad)

    def test_a_taken_port_is_named(self):
        daemon = Daemon()
        with self.assertRaisesRegex(RuntimeError, f"127.0.0.1:{daemon.port}"):
            Daemon("--listen", f"127.0.0.1:{daemon.port}")
        daemon.stop()


if __name__ == "__main__":
    unittest.main()
