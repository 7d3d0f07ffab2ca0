"""The access log and traces: one line a request, none lost by an error, none waited for; spans at a collector."""
import http.server
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from kennel_test import KENNELD, V1, Case, Daemon, make_model, png, until
from test_metrics import read

PICTURE = png(40, 36, (198, 62, 52), 77)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def lines(daemon, **want):
    found = [json.loads(line) for line in list(daemon.log)]
    return [one for one in found if one["event"] == "request" and want.items() <= one.items()]


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/traces" and self.headers["Content-Type"] == "application/json"
        self.server.bodies.append(body)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


class Traces(unittest.TestCase):
    def setUp(self):
        self.collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
        self.collector.bodies, self.collector.status = [], 200
        threading.Thread(target=self.collector.serve_forever, daemon=True).start()
        self.daemon = Daemon("--otlp-endpoint", f"http://127.0.0.1:{self.collector.server_port}/")

    def tearDown(self):
        self.daemon.stop()
        self.collector.shutdown()
        self.collector.server_close()

    def spans(self):
        return [s for b in list(self.collector.bodies) for r in b["resourceSpans"] for c in r["scopeSpans"]
                for s in c["spans"]]

    def test_a_sampled_request_has_spans(self):
        make_model(self.daemon, "colors")
        path = f"{V1}/models/colors/score"
        self.daemon.post(path, PICTURE, 200, {"traceparent": f"00-{TRACE}-{PARENT}-00"})
        self.daemon.post(path, PICTURE, 200)
        self.daemon.post(path, PICTURE, 200, {"traceparent": f"00-{TRACE}-{PARENT}-01"})
        until(lambda: len(self.spans()) >= 4)
        spans = {s["name"]: s for s in self.spans()}
        self.assertEqual(len(self.spans()), 4)
        root = spans["POST " + V1 + "/models/{m}/score"]
        self.assertEqual((root["traceId"], root["parentSpanId"], root["kind"]), (TRACE, PARENT, 2))
        attributes = {a["key"]: a["value"] for a in root["attributes"]}
        self.assertEqual(attributes["http.response.status_code"], {"intValue": "200"})
        self.assertEqual(attributes["kennel.model"], {"stringValue": "colors"})
        last = int(root["startTimeUnixNano"])
        for name in ("queue", "decode", "compute"):
            one = spans[name]
            self.assertEqual((one["traceId"], one["parentSpanId"], one["kind"]), (TRACE, root["spanId"], 1))
            self.assertLessEqual(last, int(one["startTimeUnixNano"]))
            self.assertLessEqual(int(one["startTimeUnixNano"]), int(one["endTimeUnixNano"]))
            last = int(one["endTimeUnixNano"])
        self.assertLessEqual(last, int(root["endTimeUnixNano"]))
        self.assertLess(abs(last / 1e9 - time.time()), 60)
        self.assertEqual(len({s["spanId"] for s in self.spans()}), 4)
        until(lambda: read(self.daemon).get("kennel_spans_total", result="sent") == 4)
        until(lambda: lines(self.daemon, trace_id=TRACE))

    def test_a_collector_that_refuses(self):
        self.collector.status = 500
        self.daemon.request("GET", "/", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}, expect=200)
        until(lambda: read(self.daemon).get("kennel_spans_total", result="failed") == 1)
        self.assertTrue(self.daemon.healthy())


class Lines(Case):
    options = ("--access-log-rate", "5")

    def test_fields(self):
        make_model(self.daemon, "colors")
        # Successes beyond the rate have none: one of these is the first of its second.
        def line():
            self.daemon.post(f"{V1}/models/colors/score", PICTURE, 200, {"X-Request-Id": "wanted"})
            return lines(self.daemon, request_id="wanted")
        got = until(line)[0]
        self.assertEqual((got["method"], got["route"], got["status"], got["model"], got["version"], got["level"]),
                         ("POST", V1 + "/models/{m}/score", 200, "colors", 1, "info"))
        self.assertEqual(got["bytes_in"], len(PICTURE))
        self.assertGreater(got["bytes"], 50)
        self.assertGreaterEqual(got["total_ms"], got["decode_ms"] + got["compute_ms"])

    def test_every_error_and_a_few_of_the_rest(self):
        for i in range(50):
            self.refused(self.daemon.request("GET", "/nope", headers={"X-Request-Id": f"e{i}"}), 404, "route_unknown")
            self.assertTrue(self.daemon.healthy())
        until(lambda: len({one["request_id"] for one in lines(self.daemon, status=404, route="none")}) == 50)
        got = read(self.daemon)
        self.assertGreater(got.get("kennel_log_lines_total", result="sampled_out"), 0)
        self.assertEqual(got.get("kennel_log_lines_total", result="dropped"), 0)
        by_second = {}
        for one in lines(self.daemon, status=200):
            by_second[one["time"][:19]] = by_second.get(one["time"][:19], 0) + 1
        # A line may be composed in the second after the one that it was counted in.
        self.assertLessEqual(max(by_second.values()), 2 * 5)


class Stalled(unittest.TestCase):
    def test_nobody_reads(self):
        """A pipe that is full and stays so: requests go on, lines are dropped and counted, and the end comes."""
        folder = tempfile.mkdtemp(prefix="kennel-test-")
        port_file = os.path.join(folder, "port")
        reading, writing = os.pipe()
        process = subprocess.Popen([KENNELD, "--state", os.path.join(folder, "state"), "--listen", "127.0.0.1:0",
                                    "--port-file", port_file, "--access-log-rate", "1000000"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writing)
        os.close(writing)
        try:
            until(lambda: os.path.exists(port_file))
            with open(port_file, encoding="ascii") as file:
                port = int(file.read())
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            dropped = 0
            end = time.monotonic() + 60
            slowest = 0
            while not dropped and time.monotonic() < end:
                for _ in range(500):
                    start = time.monotonic()
                    client.request("GET", "/nope")
                    client.getresponse().read()
                    slowest = max(slowest, time.monotonic() - start)
                client.request("GET", "/metrics")
                text = client.getresponse().read().decode()
                dropped = 'kennel_log_lines_total{result="dropped"}' in text
            self.assertTrue(dropped)
            self.assertLess(slowest, 5)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(30), 0)
        finally:
            process.kill()
            process.wait()
            os.close(reading)


if __name__ == "__main__":
    unittest.main()
