"""Followers: `kenneld --follow URL` serves what its trainer serves, and goes on without it."""
import http.server
import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import unittest

from kennel_test import COLORS, KENNELD, V1, Daemon, make_certificate, make_model, png, until

BODIES = [png(40, 36, color, 90 + i) for i, color in enumerate(COLORS.values())]


def score(daemon, client=None, picture=BODIES[0], expect=200, version=None):
    headers = {"Content-Type": "image/png"}
    if client:
        headers["X-Kennel-Client"] = client
    if version:
        headers["X-Kennel-Version"] = version
    return daemon.request("POST", f"{V1}/models/colors/score", picture, headers, expect=expect)


def is_ready(daemon):
    return daemon.request("GET", "/readyz").status == 200


def aliases(daemon):
    return {m["model"]: m["aliases"] for m in daemon.get(f"{V1}/follower")["models"]}


def follow(trainer, *options, url=None, **more):
    """A follower that has what the trainer has."""
    follower = Daemon("--follow", url or trainer.url, *options, **more)
    until(lambda: is_ready(follower))
    return follower


def train(daemon, seed):
    job = daemon.post(f"{V1}/models/colors/retrain", {"seed": seed, "coalesce": False}, 202).json
    return daemon.wait_job(job["id"])["version"]


MADE = {}  # a trainer's folder with two versions, the first one in production; trained once


def setUpModule():
    trainer = Daemon()
    make_model(trainer)
    MADE.update(second=train(trainer, 2), state=trainer.state, folder=trainer.folder)
    trainer.stop(keep=True)


def tearDownModule():
    shutil.rmtree(MADE["folder"])


def trained(*options, **more):
    """A trainer on a copy of that folder."""
    state = shutil.copytree(MADE["state"], tempfile.mkdtemp(prefix="kennel-test-") + "/state")
    trainer = Daemon(*options, state=state, **more)
    trainer.folder = os.path.dirname(trainer.state)
    return trainer


class Proxy:
    """Stands before a trainer, to spoil what it says. change(path, body) -> body."""

    def __init__(self, trainer, change):
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                headers = {n: v for n, v in self.headers.items() if n.lower() not in ("host", "connection")}
                connection = trainer.connect()
                connection.request("GET", self.path, headers=headers)
                got = connection.getresponse()
                body = proxy.change(self.path, got.read())
                connection.close()
                self.send_response(got.status)
                if got.getheader("ETag"):
                    self.send_header("ETag", got.getheader("ETag"))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.change = change
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Following(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.trainer = trained()
        cls.second = MADE["second"]
        cls.follower = follow(cls.trainer)

    @classmethod
    def tearDownClass(cls):
        cls.follower.stop()
        cls.trainer.stop()

    def promote(self, version):
        self.trainer.post(f"{V1}/models/colors/promote", {"version": version, "force": True, "reason": "test"}, 200)

    def test_answers_are_the_trainers(self):
        for picture in BODIES:
            a, b = (score(d, picture=picture).json for d in (self.trainer, self.follower))
            self.assertEqual((a["version"], a["predictions"]), (b["version"], b["predictions"]))

    def test_swaps_when_aliases_move(self):
        for version in (self.second, 1):
            self.promote(version)
            until(lambda: aliases(self.follower)["colors"]["production"] == version, 5)
            self.assertEqual(score(self.follower).json["version"], version)
        self.trainer.post(f"{V1}/models/colors/promote", {"alias": "nightly", "version": self.second}, 200)
        until(lambda: "nightly" in aliases(self.follower)["colors"], 5)
        self.assertEqual(score(self.follower, version="nightly").json["version"], self.second)
        self.trainer.request("DELETE", f"{V1}/models/colors/aliases/nightly")
        until(lambda: "nightly" not in aliases(self.follower)["colors"], 5)
        score(self.follower, version="nightly", expect=404)

    def test_what_it_does_not_do_names_the_trainer(self):
        for method, path in (("POST", "/models/colors/retrain"), ("GET", "/models"), ("GET", "/catalog"),
                             ("GET", "/followers"),
                             ("POST", "/keys"), ("GET", "/events"), ("POST", "/datasets/colors/import")):
            reply = self.follower.request(method, V1 + path, "{}" if method == "POST" else None)
            self.assertEqual((reply.status, reply.code), (421, "follower"), reply)
            self.assertIn(self.trainer.url, reply.json["detail"])
        self.assertEqual(self.follower.request("POST", "/v2/repository/models/colors/unload").status, 421)
        self.assertEqual(self.trainer.request("GET", f"{V1}/follower").status, 404)

    def test_other_protocols(self):
        self.assertEqual([m["name"] for m in self.follower.post("/v2/repository/index", {}).json], ["colors"])
        version = self.follower.get("/v2/models/colors")["versions"][-1]
        self.follower.get(f"/v1/models/colors/versions/{version}")


    def test_canary_and_shadow_hold_everywhere(self):
        self.promote(1)
        until(lambda: aliases(self.follower)["colors"]["production"] == 1, 5)
        other = follow(self.trainer)
        clients = [f"client-{i}" for i in range(60)]
        plan = {"canary": {"version": self.second}, "steps": [30, 60, 100], "approve": "manual", "force": True,
                "reason": "test", "min_requests": 100000}
        self.trainer.request("PUT", f"{V1}/models/colors/rollout", plan, expect=200)
        for daemon in (self.follower, other):
            until(lambda: aliases(daemon)["colors"].get("canary") == self.second, 5)
            until(lambda: {score(daemon, c).json["version"] for c in clients} == {1, self.second}, 5)
        split = [[score(d, c).json["version"] for c in clients] for d in (self.trainer, self.follower, other)]
        self.assertEqual(split[0], split[1])
        self.assertEqual(split[0], split[2])
        # Who starts with what it had does so too.
        other.stop(keep=True)
        again = Daemon("--follow", "http://127.0.0.1:9", state=other.state)
        self.assertEqual([score(again, c).json["version"] for c in clients], split[0])
        again.stop()
        shutil.rmtree(other.folder)
        self.trainer.request("DELETE", f"{V1}/models/colors/rollout", expect=200)
        until(lambda: "canary" not in aliases(self.follower)["colors"], 5)
        until(lambda: {score(self.follower, c).json["version"] for c in clients} == {1}, 5)


class Away(unittest.TestCase):
    second = property(lambda self: MADE["second"])

    def setUp(self):
        self.trainer = trained()
        self.addCleanup(shutil.rmtree, self.trainer.folder, ignore_errors=True)

    def tearDown(self):
        if self.trainer.process.poll() is None:
            self.trainer.stop()

    def promote_second(self):
        self.trainer.post(f"{V1}/models/colors/promote", {"version": self.second, "force": True, "reason": "test"},
                          200)

    def test_goes_on_and_starts_without_its_trainer(self):
        follower = follow(self.trainer)
        self.trainer.kill()
        until(lambda: not follower.get(f"{V1}/follower")["connected"])
        score(follower)
        self.assertTrue(is_ready(follower))
        follower.stop(keep=True)
        follower = Daemon("--follow", self.trainer.url, state=follower.state)
        self.assertTrue(is_ready(follower))
        score(follower)
        # A trainer on the same port is found again.
        self.trainer = Daemon("--listen", f"127.0.0.1:{self.trainer.port}", state=self.trainer.state)
        until(lambda: follower.get(f"{V1}/follower")["connected"])
        self.promote_second()
        until(lambda: score(follower).json["version"] == self.second)
        follower.stop()

    def test_not_ready_before_it_ever_heard_of_its_trainer(self):
        follower = Daemon("--follow", "http://127.0.0.1:9")
        self.assertEqual(follower.request("GET", "/readyz").status, 503)
        self.assertTrue(follower.healthy())
        self.assertEqual(score(follower, expect=503).code, "busy")
        follower.stop()

    def test_what_is_not_the_digest_is_refused(self):
        spoil = {"what": "model.onnx"}

        def change(path, body):
            return body[:-1] + bytes([body[-1] ^ 1]) if spoil["what"] in path else body
        proxy = Proxy(self.trainer, change)
        follower = Daemon("--follow", proxy.url)
        error = until(lambda: next((line for line in follower.log if '"pull"' in line), None))
        self.assertIn("digest", error)
        until(lambda: follower.request("GET", f"{V1}/follower").status == 200)
        self.assertEqual(score(follower, expect=404).code, "model_unknown")
        self.assertFalse(is_ready(follower))
        spoil["what"] = "catalog"
        until(lambda: any("tag" in line and '"follow"' in line for line in follower.log), 60)
        spoil["what"] = "nothing"
        until(lambda: is_ready(follower), 60)
        score(follower)
        follower.stop()
        proxy.close()

    def test_the_cache_is_checked_and_has_no_more_than_it_needs(self):
        follower = follow(self.trainer)
        first = self.trainer.get(f"{V1}/models/colors/versions/1")["digest"]
        self.promote_second()
        until(lambda: score(follower).json["version"] == self.second)

        def blobs():
            return {name for _, _, names in os.walk(f"{follower.state}/blobs/sha256") for name in names}
        until(lambda: first not in blobs(), 5)
        digest = self.trainer.get(f"{V1}/models/colors/versions/{self.second}")["digest"]
        self.assertEqual(blobs(), {digest})
        follower.stop(keep=True)
        fsck = [KENNELD, "fsck", "--state", follower.state]
        self.assertEqual(subprocess.run(fsck, capture_output=True).returncode, 0)
        path = f"{follower.state}/blobs/sha256/{digest[:2]}/{digest}"
        with open(path, "r+b") as file:
            file.seek(1000)
            byte = file.read(1)
            file.seek(1000)
            file.write(bytes([byte[0] ^ 255]))
        self.assertEqual(subprocess.run(fsck, capture_output=True).returncode, 4)
        follower = follow(self.trainer, state=follower.state)
        self.assertTrue(any("blob_corrupt" in line for line in follower.log))
        self.assertEqual(score(follower).json["version"], self.second)
        follower.stop()

    def test_a_folder_is_of_one_kind(self):
        follower = follow(self.trainer)
        follower.stop(keep=True)
        with self.assertRaisesRegex(RuntimeError, "state folder of a follower"):
            Daemon(state=follower.state)
        self.trainer.stop(keep=True)
        with self.assertRaisesRegex(RuntimeError, "state folder of a trainer"):
            Daemon("--follow", "http://127.0.0.1:9", state=self.trainer.state)


def metric(daemon, name):
    text = daemon.request("GET", "/metrics").body.decode()
    return float(next(line for line in text.splitlines() if line.startswith(name + " ")).split()[-1])


def feedback(daemon, prediction, label):
    return daemon.post(f"{V1}/feedback", {"prediction_id": prediction, "label": label})


class Telling(unittest.TestCase):
    """What followers answer and are told goes back to the trainer, once."""

    def setUp(self):
        self.trainer = trained()
        self.addCleanup(shutil.rmtree, self.trainer.folder, ignore_errors=True)

    def rows(self, sql):
        db = sqlite3.connect(f"file:{self.trainer.state}/kennel.db?mode=ro", uri=True)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def test_nothing_is_lost_and_all_counts_once(self):
        follower, other = follow(self.trainer), follow(self.trainer)
        first = score(follower).json["prediction_id"]
        self.assertEqual(feedback(follower, first, "red").status, 202)
        told = "SELECT count(*), count(truth) FROM prediction"
        until(lambda: self.rows(told) == [(1, 1)])
        until(lambda: [f["spooled"] for f in self.trainer.get(f"{V1}/followers")["followers"]] == [0, 0])

        self.trainer.kill()
        answers = [score(follower).json["prediction_id"] for _ in range(20)]
        for i, prediction in enumerate(answers):  # also through one that did not answer it
            self.assertEqual(feedback(other if i % 2 else follower, prediction, "green").status, 202)
        self.assertGreater(metric(follower, "kennel_follower_spool_bytes"), 0)
        # Neither a stop nor a death loses what was acknowledged.
        follower.stop(keep=True)
        other.kill()
        self.trainer = Daemon("--listen", f"127.0.0.1:{self.trainer.port}", state=self.trainer.state)
        # The one with the feedback alone comes first: that waits for the answers.
        other = Daemon("--follow", self.trainer.url, state=other.state)
        until(lambda: metric(self.trainer, "kennel_feedback_waiting") == 10)
        follower = Daemon("--follow", self.trainer.url, state=follower.state)
        until(lambda: self.rows(told) == [(21, 21)])
        self.assertEqual(metric(self.trainer, "kennel_feedback_waiting"), 0)
        until(lambda: metric(follower, "kennel_follower_spool_bytes") == 0)
        self.assertEqual(self.rows("SELECT count(*) FROM prediction WHERE truth = 'green'"), [(20,)])
        for daemon in (follower, other, self.trainer):
            daemon.stop()

    def test_a_batch_that_comes_again_is_passed_over(self):
        item = {"what": "answer", "id": "a" * 32, "model": "colors", "version": 1, "label": "red", "probability": 1,
                "at_ms": 1}
        report = {"name": "n", "program": "0", "spooled": 0, "batches": [{"seq": 3, "items": [item]}]}
        path = f"{V1}/followers/one/reports"
        for _ in range(2):
            self.assertEqual(self.trainer.post(path, report, 200).json, {"acknowledged": 3, "refused": 0})
        # What makes no sense is passed over, and does not stand in the way.
        bad = [{"what": "?"}, {"what": "answer"}, 7, {**item, "id": "b" * 32, "version": 99},
               {"what": "seen", "rollout": 1, "id": "", "first": {}}, {"what": "feedback", "id": "a" * 32, "label": 1}]
        report["batches"] = [{"seq": 4, "items": [*bad, {**item, "id": "c" * 32}]}]
        self.assertEqual(self.trainer.post(path, report, 200).json, {"acknowledged": 4, "refused": 5})
        self.assertEqual(self.rows("SELECT count(*) FROM prediction"), [(2,)])
        self.assertEqual(self.trainer.post(path, {}).status, 400)
        self.trainer.stop()

    def test_at_the_bound_feedback_is_refused_and_answers_are_dropped(self):
        follower = follow(self.trainer, "--spool-bytes", "64K")
        self.trainer.kill()
        until(lambda: not follower.get(f"{V1}/follower")["connected"])
        for _ in range(2000):
            reply = feedback(follower, "f" * 32, "x" * 200)
            if reply.status != 202:
                break
        self.assertEqual((reply.status, reply.code), (503, "spool_full"))
        self.assertLess(follower.get(f"{V1}/follower")["spooled_bytes"], 70000)
        score(follower)
        until(lambda: metric(follower, "kennel_follower_dropped_total") > 0)
        follower.stop()

    def test_followers_feed_a_rollout(self):
        """What followers alone saw of a canary decides."""
        follower = follow(self.trainer)
        plan = {"canary": {"version": MADE["second"]}, "steps": [50, 100], "force": True, "reason": "test",
                "min_requests": 20, "min_seconds": 0, "rules": {"max_p99_ratio": 1000}}
        self.trainer.request("PUT", f"{V1}/models/colors/rollout", plan, expect=200)
        until(lambda: "canary" in aliases(follower)["colors"], 5)

        def seen():
            score(follower)
            shown = self.trainer.get(f"{V1}/models/colors/rollout")
            return shown["state"] != "running" or shown["analysis"]["requests"] >= 20
        until(seen, 60)
        follower.stop()
        self.trainer.stop()


class Keys(unittest.TestCase):
    def test_keys_are_the_trainers(self):
        trainer = trained()
        admin = trainer.post(f"{V1}/keys", {"name": "ops", "role": "admin"}, 201).json["key"]

        def ask(daemon, method, path, key, body=None):
            return daemon.request(method, path, body, {"Authorization": f"Bearer {key}"} if key else {})
        make = [ask(trainer, "POST", f"{V1}/keys", admin, {"name": n, "role": r}).json
                for n, r in (("phone", "score"), ("node", "train"))]
        phone, node = make[0]["key"], make[1]["key"]
        key_file = os.path.join(trainer.folder, "key")
        with open(key_file, "w") as file:
            file.write("wrong\n")
        # Beyond loopback, because the trainer has keys.
        follower = Daemon("--follow", trainer.url, "--follow-key-file", key_file, "--listen", "0.0.0.0:0")
        until(lambda: any("401" in line for line in follower.log))
        self.assertEqual(ask(follower, "GET", "/metrics", phone).status, 503)
        with open(key_file, "w") as file:
            file.write(node + "\n")
        until(lambda: is_ready(follower))
        path = f"{V1}/models/colors/score"
        self.assertEqual(ask(follower, "POST", path, None, BODIES[0]).status, 401)
        self.assertEqual(ask(follower, "POST", path, phone, BODIES[0]).status, 200)
        # A key that is taken back is so everywhere.
        self.assertEqual(ask(trainer, "DELETE", f"{V1}/keys/{make[0]['id']}", admin).status, 204)
        until(lambda: ask(follower, "POST", path, phone, BODIES[0]).status == 401, 5)
        self.assertEqual(ask(follower, "GET", f"{V1}/models", node).status, 421)
        follower.stop()
        trainer.stop()

    @unittest.skipUnless(shutil.which("openssl"), "needs the program openssl to make certificates")
    def test_over_tls_with_an_authority_of_its_own(self):
        certificate = make_certificate(tempfile.mkdtemp(prefix="kennel-test-"))
        self.addCleanup(shutil.rmtree, os.path.dirname(certificate[0]))
        trainer = trained(certificate=certificate)
        url = f"https://127.0.0.1:{trainer.port}"
        stranger = Daemon("--follow", url)
        until(lambda: any("certificate" in line for line in stranger.log))
        self.assertFalse(is_ready(stranger))
        follower = follow(trainer, "--follow-ca", certificate[0], url=url)
        score(follower)
        for daemon in (stranger, follower, trainer):
            daemon.stop()

    def test_an_option_that_is_none(self):
        for url in ("trainer:5001", "ftp://trainer/", "http://me:secret@trainer:5001", "http://trainer/?a=b"):
            with self.assertRaisesRegex(RuntimeError, "trainer's URL"):
                Daemon("--follow", url)

    def test_without_keys_a_follower_that_others_reach_lets_nobody_in(self):
        trainer = trained()
        closed = Daemon("--follow", trainer.url, "--listen", "0.0.0.0:0")
        until(lambda: is_ready(closed))
        reply = score(closed, expect=503)
        self.assertIn("--allow-remote", reply.json["detail"])
        opened = follow(trainer, "--listen", "0.0.0.0:0", "--allow-remote")
        score(opened)
        for daemon in (closed, opened, trainer):
            daemon.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
