"""/openapi.json in the eyes of others: redocly has nothing to say of it, and prism, which every other test of this folder
goes through when KENNEL_PRISM names it, sees a reply that breaks it."""
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest

from kennel_test import HERE, PRISM, SKIPPED, Case, Prism

REDOCLY = os.environ.get("KENNEL_REDOCLY", "")


class Broken(http.server.BaseHTTPRequestHandler):
    """Answers what no description of ours says."""

    def do_GET(self):
        body = b'{"ready": "perhaps"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


class Others(Case):
    def test_redocly(self):
        for name in ("openapi.json", "swagger.json"):
            document = os.path.join(HERE, "..", "..", "api", name)
            run = subprocess.run([REDOCLY, "lint", "--extends=recommended", "--format=json", document],
                                 capture_output=True, text=True, timeout=300)
            found = json.loads(run.stdout)["problems"]
            self.assertEqual([(p["ruleId"], p["location"][0].get("pointer")) for p in found], [], name)
            self.assertEqual(run.returncode, 0, run.stderr)

    def test_prism_sees_a_broken_reply(self):
        upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken)
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        with tempfile.TemporaryDirectory() as folder:
            class Upstream:
                schema = self.daemon.schema
                url = f"http://127.0.0.1:{upstream.server_port}"
                certificate = None
            Upstream.folder = folder
            proxy = Prism(Upstream)
            connection = proxy.connect()
            connection.request("GET", "/readyz")
            reply = connection.getresponse().read()
            connection.close()
            proxy.stop()
        upstream.shutdown()
        upstream.server_close()
        self.assertIn(b"stoplight.io/prism/errors", reply)


if __name__ == "__main__":
    if not PRISM or not REDOCLY:
        print("skipped: KENNEL_PRISM and KENNEL_REDOCLY name no programs", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main()
