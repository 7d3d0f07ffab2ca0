"""Every operation of /openapi.json has its command: the one that the document names is run, and what it sends is
looked at. The server here only writes down who asks for what, and refuses."""
import http.server
import json
import os
import re
import subprocess
import tempfile
import threading
import unittest

from kennel_test import HERE, KENNEL, Case, png, tiny_backbone

VALUES = {"v": "3", "n": "7", "FILE": "picture.png", "JSON": "{}", "OF": "job/x"}


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while int(self.rfile.readline(), 16):
                self.rfile.readline()
            self.close_connection = True
        self.server.asked.append((self.command, self.path.split("?")[0]))
        body = json.dumps({"code": "recorded", "detail": "written down", "status": 404}).encode()
        self.send_response(404)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *words):
        pass


class Commands(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recorder = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
        cls.recorder.asked = []
        threading.Thread(target=cls.recorder.serve_forever, daemon=True).start()
        cls.folder = tempfile.TemporaryDirectory(prefix="kennel-commands-")
        for name, data in (("picture.png", png(8, 8, (1, 2, 3))), ("tiny.onnx", tiny_backbone())):
            with open(os.path.join(cls.folder.name, name), "wb") as file:
                file.write(data)

    @classmethod
    def tearDownClass(cls):
        cls.recorder.shutdown()
        cls.recorder.server_close()
        cls.folder.cleanup()
        super().tearDownClass()

    def run_kennel(self, *words):
        env = dict(os.environ, KENNEL_URL=f"http://127.0.0.1:{self.recorder.server_port}")
        return subprocess.run([KENNEL, *words], capture_output=True, text=True, env=env, timeout=60,
                              cwd=self.folder.name)

    def words(self, command):
        command = re.sub(r"\{(\w+)\}", lambda m: VALUES.get(m[1], m[1]), command)
        return [VALUES.get(word, word) for word in command.split()]

    def test_every_operation_has_its_command(self):
        for template, operations in self.daemon.schema.document["paths"].items():
            pattern = re.sub(r"\{\w+\}", "[^/:]+", template)
            for method, operation in operations.items():
                with self.subTest(f"{method.upper()} {template}"):
                    words = self.words(operation["x-kennel-command"])
                    self.recorder.asked.clear()
                    run = self.run_kennel(*words)
                    self.assertTrue(any(m == method.upper() and re.fullmatch(pattern, path)
                                        for m, path in self.recorder.asked), (words, run, self.recorder.asked))
                    self.assertEqual(run.returncode, 4, (words, run))
                    self.assertIn("written down (recorded)", run.stderr, words)
                    # With --json the refusal is the server's own, on standard output.
                    run = self.run_kennel(*words, "--json")
                    if not template.endswith(("/events", "/model.onnx", "/backup")): # those go on as they come
                        self.assertEqual(json.loads(run.stdout)["code"], "recorded", (words, run))

    def complete(self, *words):
        """What the shell offers for the last word."""
        typed = " ".join(f"'{word}'" for word in words)
        script = (f"source <('{KENNEL}' completion bash); COMP_WORDS=(kennel {typed}); COMP_CWORD={len(words)}; _kennel; "
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        env = dict(os.environ, KENNEL_URL=self.daemon.url, PATH=os.path.dirname(KENNEL) + ":" + os.environ["PATH"])
        run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, timeout=60,
                             cwd=self.folder.name)
        self.assertEqual((run.returncode, run.stderr), (0, ""), run)
        return run.stdout.split()

    def test_completion(self):
        self.daemon.post("/api/v1/datasets", {"name": "pictures-of-cats"}, 201)
        for words, offered in ((("datas",), ["dataset"]), (("dataset", "im"), ["import"]),
                               (("retrain", "m", "--mo"), ["--mode"]), (("promote", "--for"), ["--force"]),
                               # Options, and a URL that the shell has cut at its colons, may stand in front.
                               (("--json", "job", "can"), ["cancel"]),
                               (("--url", "http", ":", "//127.0.0.1", ":", "5001", "webhook", "ping", "--js"), ["--json"]),
                               # Names come from the server, but for what is to be made; values are files.
                               (("dataset", "show", "pict"), ["pictures-of-cats"]),
                               (("dataset", "create", "pict"), ["picture.png"]),
                               (("score", "--top", "3", "pict"), ["picture.png"]),
                               (("dataset", "import", "x", "pict"), ["picture.png"]),
                               (("key", "create", "x", "--role", "pict"), ["picture.png"])):
            with self.subTest(words):
                self.assertEqual(self.complete(*words), offered)
        self.assertIn("create", self.complete("dataset", ""))
        zsh = subprocess.run([KENNEL, "completion", "zsh"], capture_output=True, text=True, timeout=60).stdout
        self.assertTrue(zsh.startswith("#compdef kennel\n") and "_kennel()\n" in zsh)

    def test_what_is_no_command(self):
        run = self.run_kennel("jobs")
        self.assertEqual((run.returncode, run.stdout, run.stderr), (2, "", 'kennel: no command "jobs" (see kennel --help)\n'))
        for words, said in ((("job",), 'kennel: "job" alone is no command; there are'),
                            (("job", "stop"), 'kennel: no command "job stop"; there are')):
            run = self.run_kennel(*words)
            self.assertEqual(run.returncode, 2)
            self.assertEqual(run.stderr.splitlines()[0], said)
            self.assertEqual([line.split()[1] for line in run.stderr.splitlines()[1:]], ["list", "show", "wait", "cancel"])

    def test_statuses_are_those_that_the_help_names(self):
        """Also of what another program does: a folder that cannot be checked is no status of its own."""
        self.assertEqual(self.run_kennel("fsck", "--state", self.daemon.state).returncode, 4)
        self.assertEqual(self.run_kennel("fsck", "--state").returncode, 2)

    def test_manual(self):
        """Each command with its options: what the page is made of."""
        made = os.path.join(HERE, "..", "..", "deploy", "man", "commands.sh")
        rest = os.path.join(HERE, "..", "..", "deploy", "man", "kennel.h2m")
        text = subprocess.run([made, KENNEL, rest], capture_output=True, text=True, timeout=120, check=True).stdout
        listed = subprocess.run([KENNEL, "--help"], capture_output=True, text=True, timeout=60).stdout
        count = len(listed.split("Options of every command")[0].strip().splitlines()) - 2
        self.assertEqual(text.count("\n.SS kennel "), count)
        section = text.split("\n.SS kennel retrain MODEL\n")[1].split("\n.SS ")[0]
        self.assertIn("\n.TP\n\\fB\\-\\-seed\\fR \\fIN\\fR\nequal seeds give equal versions; default 0\n", section)
        self.assertIn("\n.TP\n\\fB\\-\\-wait\\fR\nuntil the job has ended", section)
        self.assertNotIn("\n\\fB\\-\\-url", section, "those of every command stand once")

    def test_api(self):
        env = dict(os.environ, KENNEL_URL=self.daemon.url + "/")
        def run(*words, stdin=None):
            return subprocess.run([KENNEL, "api", *words], capture_output=True, text=True, env=env, timeout=60,
                                  input=stdin)
        self.assertEqual(run("GET", "/").stdout, "Healthy\n")
        made = run("POST", "/api/v1/datasets", "--data", '{"name": "a"}')
        self.assertEqual(json.loads(made.stdout)["name"], "a")
        made = run("POST", "/api/v1/datasets", "--file", "-", stdin='{"name": "b"}')
        self.assertEqual(json.loads(made.stdout)["name"], "b")
        self.assertEqual(run("GET", "/api/v1/datasets?x=1").returncode, 4)
        for words in (("GET", "nowhere"), ("GET", "/a b"), ("BREW", "/"), ("GET",),
                      ("POST", "/", "--data", "{}", "--file", "-")):
            self.assertEqual(run(*words).returncode, 2, words)
        refused = run("GET", "/v2/models/none")
        self.assertEqual(refused.returncode, 4)
        self.assertIn("none", refused.stderr, "the words of another protocol's error")


if __name__ == "__main__":
    unittest.main()
