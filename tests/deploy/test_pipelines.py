"""The pipeline files of deploy/pipelines: their scripts, taken out of the YAML and the crontab, do against a real
daemon what the files promise; each calls only the steps, and the steps only kennel and curl.

A file's order is followed here as its runner would: a failed step leaves out what needs it, and what waits for a failure
runs then. PyYAML is Debian's python3-yaml; without it this is skipped."""
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from kennel_test import COLORS, KENNEL, SKIPPED, V1, Daemon, color_files, png, tar, tiny_backbone  # noqa: E402

try:
    import yaml
except ImportError:
    print("skipped: there is no python3-yaml", file=sys.stderr)
    sys.exit(SKIPPED)

PIPELINES = os.path.join(os.environ["KENNEL_SOURCE"], "deploy", "pipelines")
STEPS = os.path.join(PIPELINES, "steps")
INSTALLED = "/usr/share/kennel/pipelines"
ORDER = ["gate", "canary", "promote", "smoke"]


class Step:
    def __init__(self, script, env):
        self.script, self.env = script, env
        self.names = re.findall(r"/([a-z]+)\.sh", script) or [env["STEP"]]

    def __repr__(self):
        return "+".join(self.names)


# -- what a runner reads out of each file: the steps in their order, with their environment ----------------------

def expand(text, known):
    """The runners' own ways to name a value. One that nothing defines is a mistake in the file."""
    def value(match):
        name = match.group(1).split(".")[-1].strip()
        assert name in known, f"nothing defines {match.group(0)}"
        return known[name]
    text = re.sub(r"\$\{\{([^}]*)\}\}", value, text)            # GitHub
    text = re.sub(r"\{\{([^}]*)\}\}", value, text)              # Argo
    text = re.sub(r"\$\(([A-Za-z.]+)\)", value, text)           # Azure
    return text


def text(value):
    assert isinstance(value, str), f"{value!r} is not text: quote it"
    return value


def load(name):
    with open(os.path.join(PIPELINES, name), encoding="utf-8") as file:
        return list(yaml.safe_load_all(file))


def azure(name, known):
    document = load(f"azure/{name}.yml")[0]
    variables = document["variables"]
    if isinstance(variables, list):
        variables = {v["name"]: v["value"] for v in variables if "name" in v}
    # What the test says of a variable counts over the file.
    known = {**variables, **known}
    for stage in document.get("stages", [document]):
        for job in stage["jobs"]:
            for step in job["steps"]:
                assert set(step) & {"script", "task", "checkout"}, step
                if "script" in step:
                    yield Step(expand(step["script"], known),
                               {k: expand(text(v), known) for k, v in step["env"].items()})


def github(name, known):
    document = load(f"github/{name}.yml")[0]
    for job in document["jobs"].values():
        for step in job["steps"]:
            if "run" in step:
                env = {**document.get("env", {}), **job.get("env", {}), **step.get("env", {})}
                yield Step(step["run"], {k: expand(text(v), known) for k, v in env.items()})


def gitlab(name, known):
    document = load("gitlab/gitlab-ci.yml")[0]
    stages = {"ci": ["check"], "retrain": ["retrain"]}.get(name, ["gate", "canary", "promote", "smoke", "rollback"])
    for stage in stages:
        for job in document.values():
            if not isinstance(job, dict) or job.get("stage") != stage:
                continue
            base = document.get(job.get("extends"), {})
            env = {**document["variables"], **base.get("variables", {}), **job.get("variables", {})}
            given = {**known, **{k: v for k, v in env.items() if not v.startswith("$")}}
            env = {k: re.sub(r"\$(\w+)", lambda m: given[m.group(1)], text(v)) for k, v in env.items()}
            for line in job["script"]:
                yield Step(line, {"KENNEL_URL": known["KENNEL_URL"], **env})


def argo(name, known):
    documents = load(f"argo/{name}.yaml")
    template = next(d for d in documents if d["kind"] == "WorkflowTemplate")["spec"]
    for cron in (d for d in documents if d["kind"] == "CronWorkflow"):
        assert cron["spec"]["workflowSpec"]["workflowTemplateRef"]["name"] == "kennel-retrain", cron
    parameters = {p["name"]: p["value"] for p in template.get("arguments", {}).get("parameters", [])}
    templates = {t["name"]: t for t in template["templates"]}
    entry = templates[template["entrypoint"]]
    tasks = entry["dag"]["tasks"] if "dag" in entry else [{"name": template["entrypoint"],
                                                           "template": template["entrypoint"]}]
    if "onExit" in template:
        tasks = tasks + templates[template["onExit"]]["dag"]["tasks"]
    for task in tasks:
        container = templates[task["template"]].get("container")
        if not container:
            assert "suspend" in templates[task["template"]], task
            continue
        given = {**known, **parameters,
                 **{p["name"]: p["value"] for p in task.get("arguments", {}).get("parameters", [])}}
        env = {}
        for entry in container["env"]:
            source = entry.get("valueFrom", {})
            ref = source.get("configMapKeyRef") or source.get("secretKeyRef")
            env[entry["name"]] = given[ref["key"]] if ref else expand(text(entry["value"]), given)
        assert container["command"] == ["sh", "-c"], container
        yield Step(container["args"][0], env)


def cron(name, known):
    """The lines of the crontab, with the files they read written into /etc's stand-in."""
    wanted = {"retrain": r"train\.env.*/retrain\.sh", "release": r"/release\.sh"}[name]
    env = {}
    with open(os.path.join(PIPELINES, "cron", "kennel"), encoding="utf-8") as file:
        for line in file:
            line = line.rstrip("\n")
            if re.match(r"[A-Z]+=", line):
                key, value = line.split("=", 1)
                env[key] = value
            elif line and not line.startswith("#") and re.search(wanted, line):
                fields = line.split(None, 6)
                assert len(fields) == 7 and "%" not in line, line
                assert fields[5] == "root", line
                yield Step(fields[6], {**env, "ETC": known["etc"]})


READERS = {"azure": azure, "github": github, "gitlab": gitlab, "argo": argo, "cron": cron}


# -- the test ----------------------------------------------------------------------------------------------------

class Traffic:
    """Clients that score while a canary wants to be seen."""

    def __init__(self, daemon, key, model):
        self.daemon, self.model, self.ended = daemon, model, threading.Event()
        self.headers = {"Content-Type": "image/png", "Authorization": f"Bearer {key}"}
        self.thread = threading.Thread(target=self.run)

    def run(self):
        number = 0
        while not self.ended.is_set():
            number += 1
            label = list(COLORS)[number % 3]
            self.daemon.request("POST", f"{V1}/models/{self.model}/score", png(40, 36, COLORS[label], number),
                                {**self.headers, "X-Kennel-Client": f"client-{number}"}, expect=200)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


class Pipelines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="kennel-pipelines-")
        cls.daemon = Daemon()
        cls.keys = {}
        for role in ("admin", "train", "promote", "score"):
            key = cls.daemon.request("POST", f"{V1}/keys", {"name": role, "role": role}, cls.auth("admin"), expect=201)
            cls.keys[role] = key.json["key"]
        cls.call("POST", f"{V1}/backbones?name=tiny", tiny_backbone())
        cls.write("backbone.onnx", tiny_backbone())
        cls.write("smoke/picture.jpg", png(40, 36, COLORS["red"], 50))

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()
        cls.folder.cleanup()

    @classmethod
    def auth(cls, role):
        return {"Authorization": f"Bearer {cls.keys[role]}"} if role in cls.keys else {}

    @classmethod
    def call(cls, method, path, body=None):
        reply = cls.daemon.request(method, path, body, cls.auth("admin"))
        assert reply.status < 300, reply
        return reply.json

    @classmethod
    def write(cls, name, data):
        path = os.path.join(cls.folder.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def known(self, model, role, **more):
        """What a user sets: variables, secrets, config maps."""
        url, key = self.daemon.url, self.keys[role]
        known = {"KENNEL_URL": url, "kennelUrl": url, "url": url, "KENNEL_KEY": key, "kennelKey": key, "key": key,
                 "KENNEL_TRAIN_KEY": key, "KENNEL_PROMOTE_KEY": key, "KENNEL_MODEL": model, "model": model,
                 "SMOKE_LABEL": "red", "label": "red", "BuildNumber": "7", "run_id": "7", "CI_PIPELINE_ID": "7",
                 "name": "release-7", "etc": os.path.join(self.folder.name, "etc"), **more}
        lines = {"KENNEL_URL": url, "KENNEL_KEY": key, "MODEL": model, "DATA": "pictures", "LABEL": known["label"],
                 "PICTURE": "smoke/picture.jpg", **self.canary(model)}
        for name in ("train", "release"):
            self.write(f"etc/{name}.env", "".join(f"{k}={v}\n" for k, v in lines.items()).encode())
        return known

    def canary(self, model):
        """Sizes of a test; the names are the files'."""
        return {"CANARY_PERCENT": "50", "CANARY_REQUESTS": "20", "CANARY_SECONDS": "0", "MODEL": model,
                "CANARY_TIMEOUT": "100"}

    def run_step(self, step, **more):
        env = {"PATH": f"{os.path.dirname(KENNEL)}:{os.environ['PATH']}", **step.env, **more}
        for name, value in (("DATA", self.data), ("PICTURE", "smoke/picture.jpg")):
            if env.get(name, "").startswith("/"):
                env[name] = value
        for name in ("STEPS",):
            if name in env:
                env[name] = STEPS
        if "ASAN_OPTIONS" in os.environ:
            env["ASAN_OPTIONS"] = os.environ["ASAN_OPTIONS"]
        script = step.script.replace(INSTALLED, STEPS).replace("/run/lock/", self.folder.name + "/")
        done = subprocess.run(["sh", "-c", script], cwd=self.folder.name, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
        self.said = done.stdout
        return done.returncode

    def steps(self, kind, name, model, role, **known):
        return list(READERS[kind](name, self.known(model, role, **known)))

    def release(self, kind, model, **known):
        """The files' order: each of ORDER after the one before; returns the step that failed, or None."""
        found = self.steps(kind, "release", model, "promote", **known)
        if kind == "cron":
            status = self.run_step(found[0])
            return None if status == 0 else "release"
        self.assertEqual([s.names[0] for s in found if s.names[0] in ORDER], ORDER)
        by_name = {s.names[0]: s for s in found}
        for name in ORDER:
            if self.run_step(by_name[name], **self.canary(model)):
                failed = self.said
                after = by_name["rollback" if name in ("promote", "smoke") else "withdraw"]
                self.assertEqual(self.run_step(after, MODEL=model), 0, self.said)
                self.said = failed + self.said
                return name
        return None

    def production(self, model):
        return self.call("GET", f"{V1}/models/{model}")["production"]

    def make(self, model, **more):
        self.call("POST", f"{V1}/datasets", {"name": model})
        self.call("POST", f"{V1}/models", {"name": model, "dataset": model, "backbone": "tiny",
                                           "gate": {"rule": "non_inferiority", "margin": 0.05}, **more})

    def pictures(self, start=0, per_class=12, colors=None):
        self.data = "pictures"
        return self.write("pictures", tar(color_files(per_class, colors or COLORS, start)))

    def test_scripts_call_only_the_steps(self):
        for kind, reader in READERS.items():
            for name in ("retrain", "release") if kind in ("argo", "cron") else ("ci", "retrain", "release"):
                for step in reader(name, self.known("m", "train")):
                    bare = re.sub(r"\S*/[$a-zA-Z]+\.sh", "STEP", step.script)
                    bare = re.sub(r"set -a; \. \S+;|export ONLY_NEW=yes;|flock -n \S+", "", bare)
                    self.assertRegex(bare, r"^\s*(exec\s+)?STEP( && exec STEP)?\s*$", f"{kind} {name}")
        # And those nothing but the client, curl and what every machine has.
        with open(os.path.join(STEPS, "model.sh"), encoding="utf-8") as file:
            shared = set(re.findall(r"(?m)^(\w+)\(\) \{", file.read()))
        allowed = shared | {"kennel", "curl", "awk", "sed", "tr", "date", "sleep", "base64", "mktemp", "rm", "dirname"}
        shell = {"set", "echo", "printf", "exit", "exec", "trap", "export", "return", ".", ":", "[", "if", "then",
                 "else", "elif", "fi", "case", "esac", "while", "until", "do", "done", "break", "continue", "{", "}"}
        for name in os.listdir(STEPS):
            with open(os.path.join(STEPS, name), encoding="utf-8") as file:
                body = re.sub(r"(?m)^\s*#.*$", "", file.read()).replace("\\\n", " ")
            body = re.sub(r"'[^']*'", "''", body)
            for word in re.findall(r"(?m)(?:^|[|;&(]|\bthen\b|\bdo\b|\|\||&&|!)\s*([a-z][\w]*)(?=[ ;)]|$)", body):
                if word not in shell:
                    self.assertIn(word, allowed | {"running", "waiting", "completed"}, name)

    def test_ci_trains_a_change_on_a_server_of_its_own(self):
        self.pictures()
        for kind in ("azure", "github", "gitlab"):
            with self.subTest(kind):
                spare = Daemon()
                try:
                    step, = self.steps(kind, "ci", "colors", "train")
                    self.assertEqual(step.env["KENNEL_URL"], "http://kennel:5001")
                    self.assertEqual(self.run_step(step, KENNEL_URL=spare.url), 0, self.said)
                    self.assertIn("version 1 is production", self.said)
                    # Labels that say nothing of the picture are not good enough.
                    self.write("pictures", tar({f"{label}/{i}.png": png(40, 36, COLORS["red"], 3 * i + k)
                                                for k, label in enumerate(COLORS) for i in range(12)}))
                    self.assertEqual(self.run_step(step, KENNEL_URL=spare.url, MODEL="worse"), 3, self.said)
                    self.pictures()
                finally:
                    spare.stop()

    def whole(self, kind):
        """Retrain, release the first version; then a second one by a canary; then one whose smoke test fails."""
        model = f"of-{kind}"
        self.make(model)
        self.pictures()
        self.write("data", b"")
        retrain = self.steps(kind, "retrain", model, "train")
        for step in retrain[:1 if kind == "cron" else None]:
            self.assertEqual(self.run_step(step, MODEL=model), 0, self.said)
        self.assertIn("36 added", self.said)
        self.assertIsNone(self.release(kind, model), self.said)
        self.assertEqual(self.production(model), 1)

        # Nothing new: where it only looks for new pictures nothing is trained.
        self.assertEqual(self.run_step(retrain[-1], MODEL=model, ONLY_NEW="yes"), 0, self.said)
        self.assertIn("nothing to retrain for", self.said)

        self.pictures(start=12)
        for step in retrain[:1 if kind == "cron" else None]:
            self.assertEqual(self.run_step(step, MODEL=model), 0, self.said)
        with Traffic(self.daemon, self.keys["score"], model):
            self.assertIsNone(self.release(kind, model), self.said)
        self.assertEqual(self.production(model), 2)
        self.assertEqual(self.call("GET", f"{V1}/models/{model}/rollout")["state"], "completed")

        # The third one does not answer as it should: back to the second.
        self.pictures(start=24)
        for step in retrain[:1 if kind == "cron" else None]:
            self.assertEqual(self.run_step(step, MODEL=model), 0, self.said)
        with Traffic(self.daemon, self.keys["score"], model):
            failed = self.release(kind, model, SMOKE_LABEL="blue", label="blue")
        self.assertEqual(failed, "release" if kind == "cron" else "smoke", self.said)
        self.assertIn("label blue was expected", self.said)
        self.assertEqual(self.production(model), 2, self.said)
        history = self.call("GET", f"{V1}/models/{model}/promotions")["promotions"][0]
        self.assertIn("failed", json.dumps(history))

    def test_azure(self):
        self.whole("azure")

    def test_github(self):
        self.whole("github")

    def test_gitlab(self):
        self.whole("gitlab")

    def test_argo(self):
        self.whole("argo")

    def test_cron(self):
        self.whole("cron")

    def test_a_canary_that_is_worse_is_not_promoted(self):
        self.make("worse")
        self.pictures()
        retrain = self.steps("github", "retrain", "worse", "train")[-1]
        self.assertEqual(self.run_step(retrain), 0, self.said)
        self.assertIsNone(self.release("github", "worse"), self.said)
        names = list(COLORS)
        self.call("POST", f"{V1}/datasets", {"name": "permuted"})
        self.call("POST", f"{V1}/datasets/permuted/import",
                  tar(color_files(12, {names[i]: COLORS[names[(i + 1) % 3]] for i in range(3)})))
        self.call("PATCH", f"{V1}/models/worse", {"dataset": "permuted"})
        self.pictures(colors={})
        self.assertEqual(self.run_step(self.steps("github", "retrain", "worse", "train")[-1], DATA=""), 0, self.said)
        with Traffic(self.daemon, self.keys["score"], "worse"):
            failed = self.release("github", "worse", SMOKE_LABEL="")
        self.assertIn(failed, ("canary", "gate"), self.said)
        self.assertEqual(self.production("worse"), 1)
        self.assertNotIn(self.call("GET", f"{V1}/models/worse/rollout")["state"] if failed == "canary" else "none",
                         ("running", "waiting"))

    def test_an_open_rollout_is_withdrawn(self):
        self.make("open")
        for start in (0, 12):
            self.pictures(start=start)
            self.assertEqual(self.run_step(self.steps("azure", "retrain", "open", "train")[-1], MODEL="open"), 0,
                             self.said)
            if not start:
                self.assertIsNone(self.release("azure", "open"), self.said)
        # Nobody scores, so the canary gets too little to judge by.
        steps = {s.names[0]: s for s in self.steps("azure", "release", "open", "promote")}
        self.assertEqual(self.run_step(steps["canary"], **{**self.canary("open"), "CANARY_TIMEOUT": "1"}), 3, self.said)
        self.assertIn("did not get enough traffic", self.said)
        self.assertEqual(self.call("GET", f"{V1}/models/open/rollout")["state"], "aborted")
        self.assertEqual(self.run_step(steps["withdraw"], MODEL="open"), 0, self.said)
        self.assertEqual(self.run_step(steps["rollback"], MODEL="open"), 0, self.said)
        self.assertIn("production is as it was", self.said)
        self.assertEqual(self.production("open"), 1)


if __name__ == "__main__":
    unittest.main()
