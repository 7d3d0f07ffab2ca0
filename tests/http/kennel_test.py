"""What the HTTP tests stand on: a spawned kenneld on a free port with a state folder of its own, requests
whose replies are checked against /openapi.json, small pictures and archives made here.

Only Python's standard library. Environment: KENNELD and KENNEL (the programs), KENNEL_SOURCE (this source
tree), KENNEL_SHARED (real pictures and backbones, may be absent), KENNEL_PRISM (the program of
@stoplight/prism-cli: then whatever may pass through a proxy that reads whole replies goes through `prism proxy
--errors`, which checks them against /openapi.json with an implementation that is not ours).
"""
import atexit
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
import zlib

KENNELD = os.environ.get("KENNELD", "kenneld")
KENNEL = os.environ.get("KENNEL", "kennel")
HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("KENNEL_SHARED", "")
PRISM = os.environ.get("KENNEL_PRISM", "")
SKIPPED = 77
V1 = "/api/v1"


# -- the description that the server gives of itself, as a check of its replies -------------------------

class Schema:
    """As much of JSON Schema as openapi.json uses. An unknown keyword is a mistake, not ignored."""

    TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}

    def __init__(self, document):
        self.document = document

    def resolve(self, node):
        while "$ref" in node:
            target = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def is_type(self, value, name):
        if name == "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        if name == "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        return isinstance(value, self.TYPES[name])

    def errors(self, value, schema, where="reply"):
        schema = self.resolve(schema)
        found = []
        for key, rule in schema.items():
            found += self.keyword(key, rule, value, schema, where)
        return found

    def keyword(self, key, rule, value, schema, where):
        if key == "type":
            names = rule if isinstance(rule, list) else [rule]
            ok = any(self.is_type(value, name) for name in names)
            return [] if ok else [f"{where}: {value!r:.80} is not {rule}"]
        if key == "const":
            return [] if value == rule else [f"{where}: {value!r:.80} is not {rule!r}"]
        if key == "enum":
            return [] if value in rule else [f"{where}: {value!r:.80} is none of {rule}"]
        if key == "oneOf":
            fits = [s for s in rule if not self.errors(value, s, where)]
            return [] if len(fits) == 1 else [f"{where}: {value!r:.80} fits {len(fits)} of oneOf: "
                                              + "; ".join(sum((self.errors(value, s, where) for s in rule), []))]
        if key == "required" and isinstance(value, dict):
            return [f"{where}: {name} is missing" for name in rule if name not in value]
        if key == "properties" and isinstance(value, dict):
            return sum((self.errors(value[n], s, f"{where}.{n}") for n, s in rule.items() if n in value), [])
        if key == "additionalProperties" and isinstance(value, dict):
            extra = [n for n in value if n not in schema.get("properties", {})]
            if rule is False:
                return [f"{where}: unexpected member {n}" for n in extra]
            return sum((self.errors(value[n], rule, f"{where}.{n}") for n in extra), [])
        if key == "items" and isinstance(value, list):
            return sum((self.errors(v, rule, f"{where}[{i}]") for i, v in enumerate(value)), [])
        if key == "minimum" and self.is_type(value, "number"):
            return [] if value >= rule else [f"{where}: {value} is below {rule}"]
        if key == "maximum" and self.is_type(value, "number"):
            return [] if value <= rule else [f"{where}: {value} is above {rule}"]
        if key == "minLength" and isinstance(value, str):
            return [] if len(value) >= rule else [f"{where}: too short"]
        if key == "maxLength" and isinstance(value, str):
            return [] if len(value) <= rule else [f"{where}: too long"]
        if key == "pattern" and isinstance(value, str):
            return [] if re.search(rule, value) else [f"{where}: {value!r:.80} is not {rule}"]
        known = {"required", "properties", "additionalProperties", "items", "minimum", "maximum", "pattern",
                 "minLength", "maxLength", "description", "format", "default", "contentEncoding",
                 "contentMediaType", "x-kennel-code", "examples"}
        return [] if key in known else [f"{where}: unknown keyword {key} in the schema"]

    def operation(self, method, path):
        best = None
        for template, operations in self.document["paths"].items():
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            if re.fullmatch(pattern, path) and method.lower() in operations:
                if best is None or template.count("{") < best[0].count("{"):
                    best = (template, operations[method.lower()])
        return best[1] if best else None

    def check(self, method, path, reply):
        """A list of what is wrong with the reply."""
        operation = self.operation("GET" if method == "HEAD" else method, path)
        if operation is None:
            form = "Error" if re.match("/v[12](/|$)", path) else "Problem"
            problem = self.document["components"]["responses"][form]
            return self.check_content(problem, reply) if reply.status >= 400 else ["no such operation"]
        responses = operation["responses"]
        if str(reply.status) in responses:
            return self.check_content(self.resolve(responses[str(reply.status)]), reply)
        if reply.status < 400:
            return [f"status {reply.status} is not described"]
        described = responses.get(f"{reply.status // 100}XX", responses["default"])
        return self.check_content(self.resolve(described), reply)

    def check_content(self, response, reply):
        found = [f"header {name} is missing" for name in response.get("headers", {})
                 if reply.header(name) is None]
        if "content" not in response:
            return found + ([] if not reply.body else ["a body where none is described"])
        kind = reply.header("Content-Type")
        if kind not in response["content"]:
            return found + [f"content type {kind} is none of {list(response['content'])}"]
        if reply.method == "HEAD":
            return found
        schema = response["content"][kind]["schema"]
        if "json" in kind:
            return found + self.errors(reply.json, schema)
        if kind.startswith("text/"):
            return found + self.errors(reply.body.decode(), schema)
        return found


class Reply:
    def __init__(self, method, status, headers, body):
        self.method, self.status, self.headers, self.body = method, status, headers, body

    def header(self, name):
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)

    @property
    def plain(self):
        """The body without its content coding."""
        coding = self.header("Content-Encoding")
        return zlib.decompress(self.body, {None: 0, "gzip": 31, "deflate": 15}[coding]) if coding else self.body

    @property
    def json(self):
        return json.loads(self.plain)

    @property
    def code(self):
        """Of a problem, or of an error in the form of another protocol."""
        return self.header("X-Kennel-Error") or self.json["code"]

    def __repr__(self):
        return f"<{self.method} {self.status} {self.body[:300]!r}>"


# -- the daemon ------------------------------------------------------------------------------------------

class Daemon:
    def __init__(self, *options, state=None, certificate=None):
        """certificate: names of its file and its key's; then everything is said over TLS."""
        self.tls = None
        self.certificate = certificate[0] if certificate else None
        if certificate:
            self.tls = ssl.create_default_context(cafile=certificate[0])
            options += ("--tls-cert", certificate[0], "--tls-key", certificate[1])
        self.folder = tempfile.mkdtemp(prefix="kennel-test-")
        self.state = state or os.path.join(self.folder, "state")
        self.log = []
        self.schema = self.proxy = None
        self.listening = threading.Event()
        self.process = subprocess.Popen(
            [KENNELD, "--state", self.state, "--listen", "127.0.0.1:0", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        # A test that fails before it stops its daemon must not leave it behind.
        atexit.register(self.process.kill)
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        if not self.listening.wait(60) or not self.port:
            self.kill()
            raise RuntimeError("kenneld did not start: " + "".join(self.log))
        self.schema = Schema(self.request("GET", "/openapi.json").json)
        if PRISM:
            self.proxy = Prism(self)

    def read_log(self):
        self.port = None
        for line in self.process.stderr:
            self.log.append(line)
            if '"listening"' in line:
                self.port = int(json.loads(line)["port"])
                self.listening.set()
        self.listening.set()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def connect(self, timeout=60):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def socket(self, timeout=60):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout)
        return self.tls.wrap_socket(sock, server_hostname="127.0.0.1") if self.tls else sock

    def request(self, method, path, body=None, headers=None, connection=None, expect=None):
        """One request; its reply is checked against openapi.json."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        own = connection is None
        if self.proxy and own and self.proxy.takes(method, path, body):
            connection = self.proxy.connect()
        connection = connection or self.connect()
        try:
            connection.request(method, path, body, headers or {})
            got = connection.getresponse()
            reply = Reply(method, got.status, got.getheaders(), got.read())
        finally:
            if own:
                connection.close()
        if self.proxy:
            self.proxy.check(method, path, reply)
        if self.schema:
            wrong = self.schema.check(method, path.split("?")[0], reply)
            assert not wrong, f"{method} {path}: {wrong} in {reply}"
        if expect is not None:
            assert reply.status == expect, f"{method} {path}: wanted {expect}, got {reply}"
        return reply

    def get(self, path, expect=200):
        return self.request("GET", path, expect=expect).json

    def post(self, path, body=None, expect=None, headers=None):
        return self.request("POST", path, body, headers, expect=expect)

    def healthy(self):
        return self.request("GET", "/", expect=200).body == b"Healthy"

    def wait_job(self, job):
        for _ in range(60):
            reply = self.get(f"{V1}/jobs/{job}?wait=10")
            if reply["state"] not in ("queued", "running"):
                return reply
        raise AssertionError(f"job {job} does not end: {reply}")

    def kill(self):
        if self.proxy:
            self.proxy.stop()
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()

    def stop(self, keep=False):
        """Ends it as an operator would; whatever a sanitizer said fails the test."""
        if self.proxy:
            self.proxy.stop()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("kenneld did not stop within a minute")
        self.reader.join()
        self.process.stderr.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        assert status == 0, f"kenneld ended with {status}: " + "".join(self.log[-50:])


class Prism:
    """`prism proxy --errors` before a daemon. It reads replies as text and whole, and parses what it sends on, so that
    streams, files and bodies that are no JSON go around it; so do operations that no document has."""

    def __init__(self, daemon):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.daemon = daemon
        self.document = os.path.join(daemon.folder, "openapi.json")
        with open(self.document, "w") as file:
            json.dump(daemon.schema.document, file)
        env = dict(os.environ, NODE_EXTRA_CA_CERTS=daemon.certificate) if daemon.certificate else None
        self.process = subprocess.Popen(
            [PRISM, "proxy", "--errors", "--validate-request", "false", "--port", str(self.port), self.document,
             daemon.url], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        atexit.register(self.process.kill)
        until(self.listens, 60)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def takes(self, method, path, body):
        operation = self.daemon.schema.operation(method, path.split("?")[0])
        if operation is None or method == "HEAD":
            return False
        kinds = {kind for reply in operation["responses"].values()
                 for kind in self.daemon.schema.resolve(reply).get("content", {})}
        plain = all("json" in kind or kind == "text/plain" for kind in kinds)
        try:
            return plain and (body is None or isinstance(json.loads(body), (dict, list)))
        except (TypeError, ValueError, RecursionError):  # streamed, no JSON, nested too deep
            return False

    def check(self, method, path, reply):
        if b"stoplight.io/prism/errors" in reply.body:
            raise AssertionError(f"prism: {method} {path}: {reply.body.decode()}")

    def stop(self):
        self.process.kill()
        self.process.wait()


class Case(unittest.TestCase):
    """Tests that share one daemon."""
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(*cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def refused(self, reply, status, code):
        self.assertEqual((reply.status, reply.code), (status, code), reply)
        self.assertEqual(reply.header("Content-Type"), "application/problem+json")
        self.assertEqual(reply.json["status"], status)
        self.assertEqual(reply.json["request_id"], reply.header("X-Request-Id"))
        return reply


def make_certificate(folder, name="kennel"):
    """Of 127.0.0.1, signed by itself; the names of its file and its key's."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


# -- pictures and archives --------------------------------------------------------------------------------

def png(width, height, color, seed=0):
    """A PNG of one colour with a little pattern, so that pictures of one class differ."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            wave = (x * 7 + y * 13 + seed * 31) % 41 - 20
            rows += bytes(max(0, min(255, c + wave)) for c in color)
    return png_file(width, height, 8, 2, bytes(rows))


def png_file(width, height, depth, kind, rows):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 6))
            + chunk(b"IEND", b""))


COLORS = {"red": (200, 60, 50), "green": (60, 190, 70), "blue": (50, 70, 200)}


def color_files(per_class=12, colors=COLORS, start=0):
    return {f"{label}/{i}.png": png(40, 36, color, i) for label, color in colors.items()
            for i in range(start, start + per_class)}


def tar(files, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tiny_backbone():
    with open(os.path.join(HERE, "..", "unit", "nn", "tiny.onnx"), "rb") as file:
        return file.read()


def make_model(daemon, name="colors", per_class=12, train=True, promote=True, colors=COLORS):
    """A dataset, a backbone and a model of that name, trained and promoted. Returns the job."""
    if daemon.request("GET", f"{V1}/backbones/tiny").status == 404:
        daemon.post(f"{V1}/backbones?name=tiny", tiny_backbone(), 201)
    daemon.post(f"{V1}/datasets", {"name": name}, 201)
    daemon.post(f"{V1}/datasets/{name}/import", tar(color_files(per_class, colors)), 200)
    daemon.post(f"{V1}/models", {"name": name, "dataset": name, "backbone": "tiny"}, 201)
    if not train:
        return None
    job = daemon.post(f"{V1}/models/{name}/retrain", {"seed": 1}, 202).json
    job = daemon.wait_job(job["id"])
    assert job["state"] == "succeeded", job
    if promote:
        daemon.post(f"{V1}/models/{name}/promote", {"version": job["version"]}, 200)
    return job


def shared(*path):
    """A file of the real data; without it the whole test program is skipped."""
    full = os.path.join(SHARED, *path)
    if not SHARED or not os.path.exists(full):
        print(f"skipped: {full} is not there", file=sys.stderr)
        sys.exit(SKIPPED)
    return full


def until(condition, seconds=30):
    """Waits for a condition, not for time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("the condition did not come true")
