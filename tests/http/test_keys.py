"""Keys, roles, rates, TLS, and the log of changes."""
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import unittest

from kennel_test import KENNEL, KENNELD, V1, Case, Daemon, Reply, make_certificate, until

ROLES = ["score", "train", "promote", "admin"]
SECRET = "0123456789abcdef0123456789abcdef"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


class Roles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.keys = {}
        admin = {}
        for role in reversed(ROLES):
            made = cls.daemon.post(f"{V1}/keys", {"name": f"a-{role}", "role": role}, 201, admin).json
            cls.keys[role] = made["key"]
            admin = bearer(cls.keys["admin"])

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def ask(self, method, path, key=None, body=None):
        return self.daemon.request(method, path, body, bearer(key) if key else {})

    def test_every_route_with_every_role(self):
        public = 0
        for template, operations in self.daemon.schema.document["paths"].items():
            path = template.replace("{v}", "1").replace("{", "").replace("}", "")
            if path.endswith("/events"):
                path += "?follow=false"  # else it would go on for ever
            for method, operation in operations.items():
                needed = operation["x-kennel-role"]
                public += needed == "public"
                for have in [None, "0" * 64, *ROLES]:
                    key = self.keys.get(have, have)
                    got = self.ask(method.upper(), path, key)
                    where = f"{method} {template} with {have}: {got}"
                    if needed == "public":
                        self.assertLess(got.status, 300, where)
                    elif have not in ROLES:
                        self.assertEqual(got.status, 401, where)
                        self.assertEqual(got.header("WWW-Authenticate"), "Bearer", where)
                    elif ROLES.index(have) < ROLES.index(needed):
                        self.assertEqual(got.status, 403, where)
                        self.assertIn("needs the role", got.body.decode(), where)
                    else:
                        self.assertNotIn(got.status, (401, 403), where)
        self.assertGreaterEqual(public, 3)

    def test_who_is_the_key_whatever_the_header_says(self):
        name = "of-the-key"
        reply = self.daemon.post(f"{V1}/datasets", {"name": name}, 201,
                                 {**bearer(self.keys["train"]), "X-Requested-By": "somebody-else"})
        self.assertEqual(reply.status, 201)
        lines = self.ask("GET", f"{V1}/audit?subject=dataset/{name}", self.keys["admin"]).json["audit"]
        self.assertEqual([(l["who"], l["what"]) for l in lines], [("a-train", "dataset.create")])

    def test_a_gate_is_not_changed_by_who_may_only_train(self):
        body = json.dumps({"gate": {"margin": 1}})
        self.assertEqual(self.ask("PATCH", f"{V1}/models/none", self.keys["train"], body).code, "role")
        self.assertEqual(self.ask("PATCH", f"{V1}/models/none", self.keys["promote"], body).code, "model_unknown")

    def test_a_large_body_is_refused_before_it_is_kept(self):
        reply = self.daemon.request("POST", f"{V1}/datasets/x/import", b"x" * (8 << 20),
                                    {"Content-Type": "application/x-tar", **bearer(self.keys["score"])})
        self.assertEqual(reply.code, "role")

    def test_audit_pages(self):
        ask = lambda query: self.ask("GET", f"{V1}/audit{query}", self.keys["admin"]).json["audit"]
        everything = ask("")
        self.assertGreaterEqual(len(everything), 4)
        self.assertEqual(everything[:2], ask("?limit=2"))
        self.assertEqual(everything[2:4], ask(f"?limit=2&before={everything[1]['id']}"))
        self.assertTrue(all(l["what"] == "key.create" for l in ask("?what=key.create&who=anonymous")))
        self.assertEqual(self.ask("GET", f"{V1}/audit?limit=1001", self.keys["admin"]).code, "field_range")

    def test_the_client(self):
        env = {**os.environ, "KENNEL_URL": self.daemon.url, "KENNEL_KEY": self.keys["score"]}
        run = lambda *words, **more: subprocess.run([KENNEL, *words], env={**env, **more}, text=True,
                                                    capture_output=True, timeout=60)
        refused = run("dataset", "list")
        self.assertEqual(refused.returncode, 4)
        self.assertIn("(role)", refused.stderr)
        with tempfile.NamedTemporaryFile("w") as file:
            print(self.keys["admin"], file=file, flush=True)
            made = run("key", "create", "cli", "--role", "score", "--rate", "5", "--key-file", file.name)
            self.assertEqual(made.returncode, 0, made.stderr)
            self.assertRegex(made.stdout, "^kennel_[0-9a-f]{64}\n$")
            listed = run("--key-file", file.name, "--json", "key", "list")
            one = next(k for k in json.loads(listed.stdout)["keys"] if k["name"] == "cli")
            self.assertNotIn(made.stdout.strip(), listed.stdout)
            self.assertEqual(one["rate"], 5)
            self.assertEqual(run("key", "delete", one["id"], "--key-file", file.name).returncode, 0)
            self.assertIn("key.delete", run("audit", "--key-file", file.name).stdout)
            self.assertEqual(run("events", "--key-file", file.name).returncode, 0)
            self.assertEqual(run("events", KENNEL_KEY="").returncode, 4)
        self.assertEqual(run("status", KENNEL_KEY=made.stdout.strip()).returncode, 4)


class OtherPages(unittest.TestCase):
    """Without keys a browser must not be the way in: pages of other sites can send it forms."""

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.stop)

    def ask(self, origin, host=None, method="POST", path=f"{V1}/datasets", name="x", **more):
        headers = {"Content-Type": "text/plain", "Host": host or f"127.0.0.1:{self.daemon.port}", **more}
        if origin:
            headers["Origin"] = origin
        body = {"name": name, "role": "admin"} if path.endswith("keys") else {"name": name} if method == "POST" else None
        connection = self.daemon.connect()  # a proxy would write a Host of its own
        self.addCleanup(connection.close)
        return self.daemon.request(method, path, body, headers, connection)

    def test_changes_are_the_own_page_s(self):
        port = self.daemon.port
        for origin, host in (("https://evil.example", None), ("null", None), (f"http://evil.example:{port}", None),
                             (f"http://127.0.0.1:{port + 1}", None), ("file://", None),
                             # A name of theirs that leads here.
                             (f"http://evil.example:{port}", f"evil.example:{port}"),
                             (f"http://127.0.0.1.evil.example:{port}", f"127.0.0.1.evil.example:{port}"),
                             (f"http://notlocalhost:{port}", f"notlocalhost:{port}")):
            for path in (f"{V1}/datasets", f"{V1}/keys"):
                refused = self.ask(origin, host, path=path)
                self.assertEqual((refused.status, refused.code), (403, "origin"), (origin, host))
        self.assertEqual(self.daemon.get(f"{V1}/datasets")["datasets"], [])
        for number, (origin, host) in enumerate(((None, None), (f"http://127.0.0.1:{port}", None),
                                                 (f"http://localhost:{port}", f"localhost:{port}"),
                                                 (f"http://[::1]:{port}", f"[::1]:{port}"),
                                                 (f"http://kennel.localhost:{port}", f"kennel.localhost:{port}"))):
            self.assertEqual(self.ask(origin, host, name=f"d{number}").status, 201, (origin, host))
        self.assertEqual(self.ask("https://evil.example", method="GET").status, 200, "nobody can read the answer")

    def test_with_keys_it_is_the_key_that_counts(self):
        key = self.daemon.post(f"{V1}/keys", {"name": "admin", "role": "admin"}, 201).json["key"]
        self.assertEqual(self.ask("https://evil.example").status, 401)
        self.assertEqual(self.ask("https://app.example", Authorization=f"Bearer {key}").status, 201)


class Rules(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()

    def tearDown(self):
        self.daemon.stop()

    def make(self, body, key=None):
        return self.daemon.post(f"{V1}/keys", body, headers=bearer(key) if key else {})

    def test_the_first_and_the_last(self):
        self.assertEqual(self.make({"name": "a", "role": "train"}).code, "key_admin")
        self.assertEqual(self.make({"name": "a", "role": "admin", "expires_in_days": 1}).code, "key_admin")
        first = self.make({"name": "a", "role": "admin"}).json
        self.assertEqual(self.daemon.request("GET", f"{V1}/keys").status, 401)
        delete = lambda id, key: self.daemon.request("DELETE", f"{V1}/keys/{id}", headers=bearer(key))
        self.assertEqual(delete(first["id"], first["key"]).code, "key_admin")
        ending = self.make({"name": "b", "role": "admin", "expires_in_days": 1}, first["key"]).json
        self.assertEqual(delete(first["id"], ending["key"]).code, "key_admin", "one that ends is no replacement")
        second = self.make({"name": "a", "role": "admin"}, first["key"]).json
        self.assertEqual(delete(first["id"], second["key"]).status, 204)
        self.assertEqual(delete(first["id"], first["key"]).code, "key_invalid")
        self.assertEqual(delete(first["id"], second["key"]).code, "key_unknown")

    def test_rotation(self):
        admin = self.make({"name": "a", "role": "admin"}).json["key"]
        make = lambda **more: self.make({"name": "ci", "role": "train", **more}, admin)
        old, new = make(expires_in_days=30).json, make().json
        self.assertRegex(old["expires"], "Z$")
        for key in (old["key"], new["key"]):
            self.assertEqual(self.daemon.request("GET", f"{V1}/jobs", headers=bearer(key)).status, 200)
        self.assertEqual(make().code, "key_limit")
        self.assertEqual(make(role="promote").code, "key_limit")
        self.daemon.request("DELETE", f"{V1}/keys/{old['id']}", headers=bearer(admin), expect=204)
        self.assertEqual(make(role="promote").code, "key_limit", "a name has one role")
        self.assertEqual(make().status, 201)

    def test_bad_requests(self):
        for body, code in (({"role": "admin"}, "field_missing"), ({"name": "a", "role": "king"}, "field_range"),
                           ({"name": "a b", "role": "admin"}, "name_syntax"),
                           ({"name": "a", "role": "admin", "rate": 0}, "field_range"),
                           ({"name": "a", "role": "admin", "rate": 1000001}, "field_range"),
                           ({"name": "a", "role": "admin", "expires_in_days": 3651}, "field_range"),
                           ({"name": "a", "role": "admin", "key": SECRET}, "field_unknown")):
            self.assertEqual(self.make(body).code, code, body)
        self.assertEqual(self.daemon.get(f"{V1}/keys")["keys"], [])

    def test_rate(self):
        admin = self.make({"name": "a", "role": "admin"}).json["key"]
        slow = self.make({"name": "slow", "role": "train", "rate": 0.01}, admin).json["key"]
        ask = lambda: self.daemon.request("GET", f"{V1}/jobs", headers=bearer(slow))
        self.assertEqual(ask().status, 200)
        refused = ask()
        self.assertEqual((refused.status, refused.code), (429, "rate_limited"))
        self.assertIn(int(refused.header("Retry-After")), range(90, 101))
        self.assertEqual(self.daemon.request("GET", f"{V1}/jobs", headers=bearer(admin)).status, 200)

    def test_keys_survive_and_no_secret_is_kept(self):
        admin = self.make({"name": "a", "role": "admin"}).json["key"]
        self.daemon.stop(keep=True)
        log = "".join(self.daemon.log)
        self.daemon = Daemon(state=self.daemon.state)
        self.assertEqual(self.daemon.request("GET", f"{V1}/keys").status, 401)
        self.assertEqual(self.daemon.request("GET", f"{V1}/keys", headers=bearer(admin)).status, 200)
        self.assertNotIn(admin[7:], log)
        for name in os.listdir(self.daemon.state):
            path = os.path.join(self.daemon.state, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    self.assertNotIn(admin[7:].encode(), file.read(), name)


class KeysFile(unittest.TestCase):
    def test_reload(self):
        with tempfile.NamedTemporaryFile("w") as file:
            def write(text):
                file.seek(0)
                file.truncate()
                print(text, file=file, flush=True)
            write(f"ops admin {SECRET}")
            daemon = Daemon("--keys-file", file.name)
            ask = lambda key: daemon.request("GET", f"{V1}/jobs", headers=bearer(key)).status
            self.assertEqual((ask(SECRET), ask("x" + SECRET)), (200, 401))
            write(f"ops admin x{SECRET}")
            daemon.process.send_signal(signal.SIGHUP)
            until(lambda: ask("x" + SECRET) == 200)
            self.assertEqual(ask(SECRET), 401)
            write("nonsense")
            daemon.process.send_signal(signal.SIGHUP)
            until(lambda: any('"level":"error","event":"reload"' in l for l in daemon.log))
            self.assertEqual(ask("x" + SECRET), 200, "a file that cannot be read changes nothing")
            listed = daemon.request("GET", f"{V1}/keys", headers=bearer("x" + SECRET)).json["keys"]
            self.assertEqual([(k["id"], k["name"]) for k in listed], [(None, "ops")])
            daemon.stop()

    def test_beyond_loopback_only_with_keys(self):
        with tempfile.TemporaryDirectory() as folder:
            words = [KENNELD, "--state", f"{folder}/state", "--listen", "0.0.0.0:0"]
            refused = subprocess.run(words, capture_output=True, text=True, timeout=60)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("path_forbidden", refused.stderr)
            with open(f"{folder}/keys", "w") as file:
                print(f"ops admin {SECRET}", file=file)
            process = subprocess.Popen([*words, "--keys-file", f"{folder}/keys", "--port-file", f"{folder}/port"],
                                       stderr=subprocess.DEVNULL)
            try:
                until(lambda: os.path.exists(f"{folder}/port"))
            finally:
                process.terminate()
                self.assertEqual(process.wait(60), 0)


@unittest.skipUnless(shutil.which("openssl"), "needs the program openssl to make certificates")
class Tls(unittest.TestCase):
    def ask(self, path="/", version=None):
        context = ssl.create_default_context(cafile=self.cert)
        if version:
            context.minimum_version = context.maximum_version = version
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)
        connection.request("GET", path)
        reply = connection.getresponse()
        got = Reply("GET", reply.status, reply.getheaders(), reply.read())
        used = connection.sock.version() if connection.sock else None
        connection.close()
        return got, used

    def test_https_and_a_new_certificate(self):
        with tempfile.TemporaryDirectory() as folder:
            self.cert, self.key = make_certificate(folder, "first")
            log = open(f"{folder}/log", "w+")
            process = subprocess.Popen([KENNELD, "--state", f"{folder}/state", "--listen", "127.0.0.1:0", "--port-file",
                                        f"{folder}/port", "--tls-cert", self.cert, "--tls-key", self.key], stderr=log)
            try:
                until(lambda: os.path.exists(f"{folder}/port"))
                with open(f"{folder}/port") as file:
                    self.port = int(file.read())
                got, _ = self.ask()
                self.assertEqual(got.body, b"Healthy")
                self.assertIn("max-age", got.header("Strict-Transport-Security"))
                self.assertEqual(self.ask(f"{V1}/datasets")[0].json, {"datasets": []})
                self.ask(version=ssl.TLSVersion.TLSv1_2)
                with self.assertRaises((ssl.SSLError, ConnectionError)):
                    self.ask(version=ssl.TLSVersion.TLSv1_1)
                env = {**os.environ, "KENNEL_URL": f"https://127.0.0.1:{self.port}"}
                run = lambda **more: subprocess.run([KENNEL, "dataset", "list"], env={**env, **more},
                                                    capture_output=True, timeout=60).returncode
                self.assertEqual((run(), run(KENNEL_CA=self.cert)), (5, 0))
                make_certificate(folder, "second")
                process.send_signal(signal.SIGHUP)
                def trusted():
                    try:
                        return self.ask()[0].status == 200
                    except ssl.SSLError:
                        return False
                until(trusted)
                with open(self.key, "w") as file:
                    file.write("nonsense")
                process.send_signal(signal.SIGHUP)
                def told():
                    log.seek(0)
                    return "no PEM certificate" in log.read()
                until(told)
                self.assertEqual(self.ask()[0].status, 200)
            finally:
                process.terminate()
                self.assertEqual(process.wait(60), 0)
                log.close()

    def test_half_of_it_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            for words in (["--tls-cert", "/nowhere"], ["--tls-cert", "/dev/null", "--tls-key", "/dev/null"]):
                refused = subprocess.run([KENNELD, "--state", f"{folder}/state", "--listen", "127.0.0.1:0", *words],
                                         capture_output=True, timeout=60)
                self.assertEqual(refused.returncode, 2, words)


if __name__ == "__main__":
    unittest.main()
