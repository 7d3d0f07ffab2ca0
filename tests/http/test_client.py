"""The command line: what it prints, where, and with which exit status."""
import json
import os
import subprocess
import tempfile
import unittest

from kennel_test import KENNEL, PRISM, V1, Case, color_files, make_model, png, tar, tiny_backbone

DONE, USAGE, REJECTED, FAILED, UNREACHABLE = 0, 2, 3, 4, 5


class Client(Case):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="kennel-client-")
        self.addCleanup(self.folder.cleanup)

    def kennel(self, *words, status=DONE, url=None, stdin=None):
        env = dict(os.environ, KENNEL_URL=url or self.daemon.url)
        run = subprocess.run([KENNEL, *words], capture_output=True, text=True, env=env, timeout=100, input=stdin,
                             cwd=self.folder.name)
        self.assertEqual(run.returncode, status, f"kennel {words}: {run.stdout}{run.stderr}")
        if status != DONE:
            self.assertTrue(run.stderr, "a failure says why")
        return run

    def path(self, name, data):
        full = os.path.join(self.folder.name, name)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)
        return full

    def pictures(self, folder, **kind):
        for name, data in color_files(**kind).items():
            self.path(f"{folder}/{name}", data)
        return os.path.join(self.folder.name, folder)

    def test_the_main_job(self):
        self.kennel("backbone", "add", self.path("tiny.onnx", tiny_backbone()), "--name", "main")
        self.assertIn("main", self.kennel("backbone", "list").stdout)
        self.kennel("dataset", "create", "main")
        run = self.kennel("dataset", "import", "main", self.path("pictures.tar", tar(color_files(12))))
        self.assertEqual(run.stdout, "version 1: 36 added, 0 duplicates, 0 rejected\n")
        self.kennel("model", "create", "main", "--dataset", "main", "--backbone", "main", "--gate",
                    '{"min_accuracy": 0.1}')
        picture = self.path("red.png", png(40, 36, (201, 61, 51)))
        run = self.kennel("score", picture, "--model", "main", status=FAILED)
        self.assertIn("not_promoted", run.stderr)
        run = self.kennel("retrain", "main", "--seed", "7", "--wait", "--tag", "by=test", "--tag", "why=a=b")
        self.assertRegex(run.stdout, r"^job \S+ succeeded: version 1 of main, accuracy [0-9.]+ % on \d+ pictures\n$")
        version = json.loads(self.kennel("version", "show", "main", "1", "--json").stdout)
        self.assertEqual((version["seed"], version["tags"]), (7, {"by": "test", "why": "a=b"}))
        self.assertIn("per_class", self.kennel("version", "show", "main", "1", "--json").stdout)
        shown = self.kennel("version", "show", "main", "1").stdout
        self.assertIn("red", shown)
        self.assertRegex(shown, r"(?m)^precision +int8 \(auto; accuracy fp32 [0-9.]+, int8 [0-9.]+; margin 0.005\)$")
        self.assertEqual(self.kennel("promote", "main", "1").stdout, "main: version 1 is production\n")
        run = self.kennel("score", picture, picture, "--model", "main", "--top", "3")
        lines = run.stdout.splitlines()
        self.assertEqual(lines[0].split(), ["FILE", "LABEL", "PROBABILITY"])
        self.assertEqual(len(lines), 7)
        self.assertIn("red.png", lines[1])
        self.assertEqual({line.split()[-2] for line in lines[1:4]}, {"red", "green", "blue"})

        # The same again is no better: the gate says so, with its own status.
        run = self.kennel("retrain", "main", "--wait", status=REJECTED)
        self.assertIn("rejected", run.stdout)
        self.assertIn("gate", run.stderr)
        run = self.kennel("promote", "main", "2", status=REJECTED)
        self.assertIn("gate_refused", run.stderr)
        gate = self.refused(self.daemon.post(f"{V1}/models/main/promote", {"version": 2}), 409, "gate_refused").json["gate"]
        self.assertEqual((gate["passed"], gate["champion"], gate["accuracy"]), (False, 1, gate["champion_accuracy"]))
        for reason in gate["reasons"]:
            self.assertIn(reason, run.stderr)
        self.kennel("promote", "main", "2", "--force", status=USAGE)
        self.assertEqual(self.kennel("promote", "main", "2", "--force", "--reason", "drill").stdout,
                         "main: version 2 is production, before it 1\n")
        self.assertEqual(self.kennel("rollback", "main").stdout.split(", before")[0],
                         "main: version 1 is production")
        history = self.kennel("history", "main").stdout
        self.assertIn("drill", history)
        self.assertEqual(len(history.splitlines()), 4)
        self.assertIn("2", self.kennel("version", "list", "main").stdout)

        out = os.path.join(self.folder.name, "main-v1.onnx")
        self.assertEqual(self.kennel("version", "download", "main", "1").stdout, "main-v1.onnx\n")
        with open(out, "rb") as file:
            self.assertEqual(len(file.read()), version["bytes"])
        self.kennel("version", "download", "main", "9", "--output", "none.onnx", status=FAILED)
        self.assertEqual([n for n in os.listdir(self.folder.name) if n.startswith("none")], [])

    def test_import_of_a_folder(self):
        self.kennel("dataset", "create", "folder")
        folder = self.pictures("set", per_class=4)
        self.path("set/red/broken.png", b"no picture")
        self.path("set/.hidden/x.png", b"no picture")
        os.symlink("/etc/passwd", os.path.join(folder, "red", "link.png"))
        run = self.kennel("dataset", "import", "folder", folder)
        self.assertIn("version 1: 12 added, 0 duplicates, 1 rejected", run.stdout)
        self.assertRegex(run.stdout, r"red/broken.png +picture_format")
        run = self.kennel("dataset", "import", "folder", folder + "/")
        self.assertIn("no new version: 0 added, 12 duplicates", run.stdout)
        self.assertIn("12", self.kennel("dataset", "list").stdout)
        os.makedirs(os.path.join(self.folder.name, "nothing"))
        self.kennel("dataset", "import", "folder", os.path.join(self.folder.name, "nothing"), status=FAILED)
        self.kennel("dataset", "import", "folder", "/no/such/file", status=FAILED)
        run = self.kennel("dataset", "import", "none", folder, status=FAILED)
        self.assertIn("dataset_unknown", run.stderr)
        # The names of members longer than a tar header has room for.
        self.kennel("dataset", "create", "long")
        self.path("long/red/" + "x" * 150 + ".png", png(40, 36, (200, 60, 50)))
        self.assertIn("1 added", self.kennel("dataset", "import", "long", os.path.join(self.folder.name, "long")).stdout)

    def test_single_pictures(self):
        self.kennel("dataset", "create", "single")
        red = self.path("r.png", png(40, 36, (200, 60, 50)))
        run = self.kennel("dataset", "put", "single", "a label", red, "--split", "val", "--json")
        report = json.loads(run.stdout)
        self.assertEqual(report["added"], 1)
        version = json.loads(self.kennel("dataset", "versions", "single", "1", "--json").stdout)
        self.assertEqual(version["counts"], {"a label": {"train": 0, "val": 1, "test": 0}})
        self.kennel("dataset", "rm", "single", report["digest"])
        self.assertEqual(len(self.kennel("dataset", "versions", "single").stdout.splitlines()), 3)
        self.kennel("dataset", "rm", "single", report["digest"], status=FAILED)

    def test_jobs(self):
        make_model(self.daemon, "jobs")
        run = self.kennel("retrain", "jobs")
        job = run.stdout.split()[1]
        self.kennel("job", "wait", job, status=REJECTED)
        self.assertIn(job, self.kennel("job", "list", "--model", "jobs").stdout)
        self.assertIn(job, self.kennel("job", "list", "--state", "rejected").stdout)
        self.kennel("job", "list", "--state", "odd", status=FAILED)
        self.assertEqual(json.loads(self.kennel("job", "show", job, "--json").stdout)["state"], "rejected")
        self.assertIn("job_state", self.kennel("job", "cancel", job, status=FAILED).stderr)
        self.kennel("job", "wait", "none", status=FAILED)
        self.assertIn("jobs", self.kennel("status").stdout)

    @unittest.skipIf(PRISM, "the proxy writes JSON anew")
    def test_json_is_the_servers_own(self):
        run = self.kennel("dataset", "list", "--json")
        self.assertEqual(run.stdout.encode(), self.daemon.request("GET", f"{V1}/datasets").body)
        run = self.kennel("dataset", "show", "none", "--json", status=FAILED)
        self.assertEqual(json.loads(run.stdout)["code"], "dataset_unknown")

    def test_models(self):
        make_model(self.daemon, "change", train=False)
        self.kennel("model", "set", "change", "--gate", '{"margin": 0.5}', "--strip-label-prefix", "no")
        model = json.loads(self.kennel("model", "show", "change", "--json").stdout)
        self.assertEqual((model["gate"]["margin"], model["strip_label_prefix"]), (0.5, False))
        self.assertIn("change", self.kennel("model", "list").stdout)
        self.kennel("model", "set", "change", "--gate", "{", status=USAGE)
        self.kennel("model", "create", "x", status=USAGE)

    def test_usage(self):
        for words in ((), ("nonsense",), ("dataset",), ("dataset", "nonsense"), ("dataset", "create"),
                      ("dataset", "create", "a", "b"), ("dataset", "list", "--nonsense"), ("score",),
                      ("retrain", "m", "--seed", "x"), ("retrain", "m", "--tag", "x"), ("promote", "m", "x"),
                      ("dataset", "list", "--url"), ("dataset", "list", "--json=1")):
            self.kennel(*words, status=USAGE)

    def test_help(self):
        everything = self.kennel("--help").stdout
        for words in (("dataset", "import"), ("score",), ("retrain",), ("status",), ("version", "download")):
            self.assertIn(" ".join(words), everything)
            self.assertIn("--url", self.kennel(*words, "--help").stdout)
        self.assertIn("dataset put", self.kennel("dataset", "--help").stdout)
        self.assertRegex(self.kennel("--version").stdout, r"^kennel \d+\.\d+\.\d+\n$")

    def test_unreachable(self):
        for words in (("status",), ("dataset", "list"), ("score", "x.png"), ("retrain", "m", "--wait")):
            self.kennel(*words, url="http://127.0.0.1:1", status=UNREACHABLE)
        self.kennel("status", "--url", "http://127.0.0.1:1", status=UNREACHABLE)

    def test_global_options_stand_anywhere(self):
        for words in (("--url", self.daemon.url, "dataset", "list"), ("dataset", "--url", self.daemon.url, "list"),
                      ("dataset", "list", f"--url={self.daemon.url}/")):
            self.kennel(*words, url="http://127.0.0.1:1")

    def test_progress_is_drawn_on_a_terminal_only(self):
        self.kennel("dataset", "create", "bar")
        archive = self.path("bar.tar", tar(color_files(40)))
        run = self.kennel("dataset", "import", "bar", archive)
        self.assertNotIn("\r", run.stderr)
        self.assertNotIn("\033", run.stderr)
        self.assertNotIn("receiving", run.stderr, "a reply of one line is nothing to wait for")
        import pty
        ours, theirs = pty.openpty()
        env = dict(os.environ, KENNEL_URL=self.daemon.url)
        run = subprocess.run([KENNEL, "dataset", "import", "bar", archive], stdout=subprocess.PIPE, stderr=theirs,
                             env=env, timeout=60)
        os.close(theirs)
        shown = os.read(ours, 65536).decode()
        os.close(ours)
        self.assertEqual(run.returncode, DONE)
        self.assertIn("sending", shown)
        self.assertIn("%", shown)


if __name__ == "__main__":
    unittest.main()
