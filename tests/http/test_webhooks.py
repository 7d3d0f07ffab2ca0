"""Webhooks: what a receiver gets and can check, repetition over failures and a restart, the log of deliveries,
which addresses are reached, and that no secret is shown twice."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import subprocess
import threading
import time
import unittest

from kennel_test import KENNEL, V1, Case, Daemon, make_model, until

FAST = ("--webhook-allow", "loopback", "--webhook-retry-ms", "20", "--webhook-attempts", "4",
        "--webhook-timeout-ms", "1000")


class Receiver:
    """Keeps what it is sent; answers with the next of `statuses`, then with 204."""

    def __init__(self, port=0):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    receiver.got.append((self.path, self.headers, body))
                    status = receiver.statuses.pop(0) if receiver.statuses else 204
                if status == "hang":
                    receiver.release.wait(30)
                    return
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/redirected")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.lock, self.got, self.statuses, self.release = threading.Lock(), [], [], threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def of(self, path):
        with self.lock:
            return [(headers, body) for where, headers, body in self.got if where == path]

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def signature(secret, headers, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


class Webhooks(Case):
    options = FAST

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, train=False)
        make_model(cls.daemon, "other", train=False)

    def setUp(self):
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)

    def add(self, path="/", events=("*",), **more):
        made = self.daemon.post(f"{V1}/webhooks", {"url": self.receiver.url(path), "events": list(events), **more}, 201)
        self.assertEqual(made.header("Location"), f"{V1}/webhooks/{made.json['id']}")
        self.addCleanup(lambda: self.daemon.request("DELETE", f"{V1}/webhooks/{made.json['id']}"))
        return made.json

    def deliveries(self, webhook):
        return self.daemon.get(f"{V1}/webhooks/{webhook['id']}/deliveries")["deliveries"]

    def settled(self, webhook, count=1):
        def all_ended():
            found = self.deliveries(webhook)
            return len(found) >= count and all(d["state"] != "waiting" for d in found) and found
        return until(all_ended)

    def ping(self, webhook):
        return self.daemon.post(f"{V1}/webhooks/{webhook['id']}/ping", None, 202).json

    def test_a_signed_cloud_event(self):
        webhook = self.add("/all", ["job.*", "version.created"], model="colors")
        job = self.daemon.post(f"{V1}/models/colors/retrain", {"seed": 1}, 202).json["id"]
        self.daemon.post(f"{V1}/models/other/retrain", {"seed": 1}, 202)
        self.daemon.wait_job(job)
        until(lambda: len(self.receiver.of("/all")) >= 4)
        found = self.receiver.of("/all")
        self.assertEqual([json.loads(body)["type"] for _, body in found][:3],
                         ["job.queued", "job.started", "version.created"])
        for headers, body in found:
            self.assertEqual(headers["Content-Type"], "application/cloudevents+json")
            self.assertEqual(headers["webhook-signature"], signature(webhook["secret"], headers, body))
            self.assertLess(abs(int(headers["webhook-timestamp"]) - time.time()), 60)
            event = json.loads(body)
            self.assertEqual(event["specversion"], "1.0")
            self.assertEqual(event["id"], headers["webhook-id"])
            self.assertEqual(event["source"], "/api/v1/events")
            self.assertEqual(event["datacontenttype"], "application/json")
            self.assertEqual(event["data"]["model"], "colors")
        self.assertEqual(json.loads(found[0][1])["subject"], f"job/{job}")
        self.assertEqual(len({headers["webhook-id"] for headers, _ in found}), len(found))
        # The number of the event is another server's too; what it is told under is not.
        self.assertTrue(all(re.fullmatch(rf"event-{webhook['id']}-\d+", headers["webhook-id"]) for headers, _ in found))
        made = json.loads(found[2][1])
        self.assertEqual(self.daemon.get(f"{V1}/lineage?of={made['subject']}")["of"], made["subject"])
        self.assertTrue(all(d["state"] == "delivered" and d["status"] == 204 for d in self.settled(webhook, 4)))

    def test_tried_again_with_the_same_id(self):
        self.receiver.statuses = [500, 302, 429]
        webhook = self.add("/again")
        sent = self.ping(webhook)
        (ended,) = self.settled(webhook)
        self.assertEqual((ended["state"], ended["attempts"], ended["status"]), ("delivered", 4, 204))
        found = self.receiver.of("/again")
        self.assertEqual({headers["webhook-id"] for headers, _ in found}, {sent["message"]})
        self.assertEqual(len({body for _, body in found}), 1)
        self.assertEqual(self.receiver.of("/redirected"), [])

    def test_dead_and_delivered_again(self):
        self.receiver.statuses = [500, 500, 500, 503]
        webhook = self.add("/dead")
        self.ping(webhook)
        (dead,) = self.settled(webhook)
        self.assertEqual((dead["state"], dead["attempts"], dead["status"], dead["next"]), ("dead", 4, 503, None))
        path = f"{V1}/webhooks/{webhook['id']}/deliveries"
        again = self.daemon.post(f"{path}/{dead['id']}/redeliver", None, 202).json
        self.assertEqual((again["message"], again["state"]), (dead["message"], "waiting"))
        (ended,) = self.settled(webhook)
        self.assertEqual((ended["state"], ended["attempts"]), ("delivered", 1))
        for n in ("0", "x", "99999999"):
            self.refused(self.daemon.post(f"{path}/{n}/redeliver"), 404, "delivery_unknown")
        self.refused(self.daemon.post(f"{V1}/webhooks/nobody/deliveries/1/redeliver"), 404, "webhook_unknown")

    def test_gone_is_not_tried_again(self):
        self.receiver.statuses = [410]
        webhook = self.add("/gone")
        self.ping(webhook)
        (ended,) = self.settled(webhook)
        self.assertEqual((ended["state"], ended["attempts"]), ("dead", 1))

    def test_a_receiver_that_hangs_keeps_nobody_waiting(self):
        self.receiver.statuses = ["hang"] * 10
        slow = self.add("/hang")
        self.ping(slow)
        until(lambda: self.receiver.of("/hang"))
        self.refused(self.daemon.post(f"{V1}/webhooks/{slow['id']}/deliveries/"
                                      f"{self.deliveries(slow)[0]['id']}/redeliver"), 409, "delivery_state")
        self.receiver.statuses = []
        quick = self.add("/quick")
        self.ping(quick)
        self.assertEqual(self.settled(quick)[0]["attempts"], 1)
        self.assertEqual(self.deliveries(slow)[0]["state"], "waiting")
        (ended,) = self.settled(slow)
        self.assertEqual((ended["state"], ended["attempts"]), ("delivered", 2))

    def test_a_secret_is_shown_once(self):
        given = "whsec_" + base64.b64encode(os.urandom(24)).decode()
        self.assertEqual(self.add("/given", secret=given)["secret"], given)
        made = self.add("/made")
        for path in ("webhooks", f"webhooks/{made['id']}", f"webhooks/{made['id']}/deliveries"):
            text = self.daemon.request("GET", f"{V1}/{path}", expect=200).body.decode()
            self.assertNotIn("whsec_", text)
        self.assertNotIn("whsec_", "".join(self.daemon.log))
        refused = self.daemon.post(f"{V1}/webhooks", {"url": self.receiver.url(), "events": ["*"], "secret": "tooshort"})
        self.refused(refused, 400, "field_range")
        self.assertNotIn("tooshort", refused.body.decode())

    def test_what_is_refused(self):
        def add(url, events=("*",), **more):
            return self.daemon.post(f"{V1}/webhooks", {"url": url, "events": list(events), **more})
        for url in ("ftp://example.org/", "example.org", "http://", "https://me:pw@example.org/", "file:///etc/passwd",
                    "https://example.org/" + "x" * 2048, ""):
            self.refused(add(url), 400, "url")
        for host in ("10.0.0.1", "169.254.169.254", "192.168.1.1", "[fd00::1]", "0.0.0.0", "167772161", "0x0a000001"):
            self.refused(add(f"http://{host}/"), 422, "url_forbidden")
        for events in ((), ("job.ended",), ("job.*,alias.*",), ("x" * 600,)):
            self.refused(add("https://example.org/", events), 400, "field_range")
        self.refused(add("https://example.org/", model="nobody"), 404, "model_unknown")
        self.refused(self.daemon.request("DELETE", f"{V1}/webhooks/nobody"), 404, "webhook_unknown")

    def test_at_most_so_many(self):
        made = []
        while True:
            reply = self.daemon.post(f"{V1}/webhooks", {"url": "https://example.org/", "events": ["gate.decided"]})
            if reply.status != 201:
                break
            made.append(reply.json["id"])
        self.refused(reply, 409, "webhooks_too_many")
        self.assertEqual(len([w for w in self.daemon.get(f"{V1}/webhooks")["webhooks"] if not w["job"]]), 100)
        for one in made:
            self.daemon.request("DELETE", f"{V1}/webhooks/{one}", expect=204)

    def test_a_callback(self):
        reply = self.daemon.post(f"{V1}/models/colors/retrain", {
            "seed": 31, "callback_url": self.receiver.url("/callback")}, 202, {"Idempotency-Key": "with callback"})
        job, secret = reply.json["id"], reply.json["callback_secret"]
        again = self.daemon.post(f"{V1}/models/colors/retrain", {
            "seed": 31, "callback_url": self.receiver.url("/callback")}, 202, {"Idempotency-Key": "with callback"})
        self.assertNotIn("callback_secret", again.json)
        state = self.daemon.wait_job(job)["state"]
        ((headers, body),) = until(lambda: self.receiver.of("/callback"))
        self.assertEqual(json.loads(body)["type"], f"job.{state}")
        self.assertEqual(json.loads(body)["data"]["job"], job)
        self.assertEqual(headers["webhook-signature"], signature(secret, headers, body))
        self.assertEqual([w["job"] for w in self.daemon.get(f"{V1}/webhooks")["webhooks"] if w["job"] == job], [job])
        self.refused(self.daemon.post(f"{V1}/models/colors/retrain", {"callback_url": "http://10.0.0.1/"}), 422,
                     "url_forbidden")
        self.refused(self.daemon.post(f"{V1}/models/colors/retrain", {"callback_secret": "whsec_"}), 400,
                     "field_missing")

    def test_command_line(self):
        def kennel(*words):
            run = subprocess.run([KENNEL, "--url", self.daemon.url, "--json", *words], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stderr)
            return json.loads(run.stdout) if run.stdout.strip() else None
        made = kennel("webhook", "add", self.receiver.url("/cli"), "--event", "alias.*", "--event", "job.failed",
                      "--model", "colors")
        self.assertEqual(made["events"], ["alias.*", "job.failed"])
        self.assertIn(made["id"], [w["id"] for w in kennel("webhook", "list")["webhooks"]])
        self.assertEqual(kennel("webhook", "show", made["id"])["url"], self.receiver.url("/cli"))
        kennel("webhook", "ping", made["id"])
        (delivery,) = self.settled(made)
        self.assertEqual(kennel("webhook", "deliveries", made["id"])["deliveries"][0]["id"], delivery["id"])
        kennel("webhook", "redeliver", made["id"], str(delivery["id"]))
        kennel("webhook", "remove", made["id"])
        self.assertNotIn(made["id"], [w["id"] for w in kennel("webhook", "list")["webhooks"]])


class Restart(unittest.TestCase):
    def test_what_waits_is_sent_by_the_next_daemon(self):
        receiver = Receiver()
        port = receiver.port
        receiver.close()  # nobody listens there now
        first = Daemon(*FAST[:2], "--webhook-retry-ms", "1000")
        make_model(first, train=False)
        made = first.post(f"{V1}/webhooks", {"url": f"http://127.0.0.1:{port}/", "events": ["job.*"]}, 201).json
        job = first.post(f"{V1}/models/colors/retrain", {}, 202).json["id"]
        first.wait_job(job)
        path = f"{V1}/webhooks/{made['id']}/deliveries"
        waiting = until(lambda: len(first.get(path)["deliveries"]) >= 3 and first.get(path)["deliveries"])
        self.assertTrue(any(d["error"] for d in until(
            lambda: [d for d in first.get(path)["deliveries"] if d["attempts"]])))
        self.assertFalse([d for d in waiting if d["state"] == "delivered"])
        first.kill()
        receiver = Receiver(port)
        self.addCleanup(receiver.close)
        second = Daemon(*FAST, state=first.state)
        self.addCleanup(second.stop)
        until(lambda: {d["state"] for d in second.get(path)["deliveries"]} == {"delivered"}, 60)
        types = [json.loads(body)["type"] for _, body in receiver.of("/")]
        self.assertEqual(set(types[:3]) | {types[-1]} >= {"job.queued", "job.started"}, True)
        for headers, body in receiver.of("/"):
            self.assertEqual(headers["webhook-signature"], signature(made["secret"], headers, body))

    def test_a_name_is_checked_when_it_is_connected_to(self):
        """localhost passes as a name and is refused as the address that it means."""
        receiver = Receiver()
        self.addCleanup(receiver.close)
        daemon = Daemon(*FAST[2:])
        self.addCleanup(daemon.stop)
        made = daemon.post(f"{V1}/webhooks", {"url": f"http://localhost:{receiver.port}/", "events": ["*"]}, 201).json
        daemon.post(f"{V1}/webhooks/{made['id']}/ping", None, 202)
        path = f"{V1}/webhooks/{made['id']}/deliveries"
        (ended,) = until(lambda: [d for d in daemon.get(path)["deliveries"] if d["state"] == "dead"])
        self.assertIn("not public", ended["error"])
        self.assertEqual(receiver.of("/"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
