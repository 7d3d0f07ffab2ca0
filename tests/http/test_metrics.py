"""GET /metrics: the text is what Prometheus takes (a strict reader of our own, and promtool where it is installed),
and the figures are those of what was done."""
import base64
import os
import re
import shutil
import subprocess
import unittest

from kennel_test import V1, Case, make_model, png, until

PICTURE = png(40, 36, (198, 62, 52), 77)
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL})(?:,{LABEL})*)\}})? ([0-9.e+-]+|[+]Inf|NaN)")


class Metrics:
    """The exposition format 0.0.4, read as strictly as it is written. A mistake raises."""

    def __init__(self, text):
        self.kinds, self.samples, self.order = {}, {}, []
        helped = set()
        family = None
        assert text.endswith("\n")
        for line in text.split("\n")[:-1]:
            if line.startswith("# HELP "):
                name, help_text = line[7:].split(" ", 1)
                assert re.fullmatch(NAME, name) and help_text and name not in helped, line
                helped.add(name)
                family = name
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert name == family and name not in self.kinds, line
                assert kind in ("counter", "gauge", "histogram"), line
                self.kinds[name] = kind
            else:
                self.add_sample(family, line)
        for name, kind in self.kinds.items():
            assert (kind == "counter") == name.endswith("_total"), name
            if kind == "histogram":
                self.check_histogram(name)

    def add_sample(self, family, line):
        match = SAMPLE.fullmatch(line)
        assert match, line
        name = match.group(1)
        suffix = name.removeprefix(family)
        allowed = ("_bucket", "_sum", "_count") if self.kinds[family] == "histogram" else ("",)
        assert name.startswith(family) and suffix in allowed, f"{line} under {family}"
        labels = tuple(re.findall(LABEL, match.group(2) or ""))
        assert len({n for n, _ in labels}) == len(labels), line
        key = (name, frozenset(labels))
        assert key not in self.samples, f"twice: {line}"
        self.samples[key] = float(match.group(7))
        self.order.append((name, dict(labels), self.samples[key]))

    def check_histogram(self, family):
        series = {}
        for name, labels, value in self.order:
            if name.removeprefix(family) in ("_bucket", "_sum", "_count"):
                rest = frozenset((n, v) for n, v in labels.items() if n != "le")
                one = series.setdefault(rest, {"bounds": [], "counts": []})
                if name.endswith("_bucket"):
                    one["bounds"].append(float(labels["le"]))
                    one["counts"].append(value)
                else:
                    one[name[len(family):]] = value
        for one in series.values():
            assert one["bounds"] == sorted(one["bounds"]) and one["bounds"][-1] == float("inf"), family
            assert one["counts"] == sorted(one["counts"]), family
            assert one["counts"][-1] == one["_count"] and one["_sum"] >= 0, family

    def get(self, metric, **labels):
        """The sum of the samples that have these labels."""
        return sum(v for n, have, v in self.order if n == metric and labels.items() <= have.items())


def read(daemon):
    reply = daemon.request("GET", "/metrics", expect=200)
    assert reply.header("Content-Type") == "text/plain; version=0.0.4"
    return Metrics(reply.body.decode())


class Counting(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, "colors")

    def after(self, metric, value, **labels):
        """A request is counted when its reply has gone out, which may be after it was read."""
        until(lambda: read(self.daemon).get(metric, **labels) == value)

    def test_requests(self):
        path = f"{V1}/models/colors/score"
        route = f"{V1}/models/{{m}}/score"
        before = read(self.daemon)
        labels = {"method": "POST", "route": route, "code": "200", "model": "colors", "version": "1"}
        was = before.get("kennel_requests_total", **labels)
        for _ in range(5):
            self.daemon.post(path, PICTURE, 200)
        self.refused(self.daemon.post(path, b"no picture"), 422, "picture_format")
        self.after("kennel_requests_total", was + 5, **labels)
        self.after("kennel_requests_total", 1, route=route, code="422", model="colors", version="1")
        self.after("kennel_rejects_total", 1, reason="picture_format")
        for path in ("/nope", "/nope/2", "/%ff"):
            self.refused(self.daemon.request("GET", path), 404, "route_unknown")
        self.refused(self.daemon.request("BREW", "/score"), 405, "method_not_allowed")
        self.after("kennel_requests_total", 3, route="none", method="other", code="404")
        self.after("kennel_requests_total", 1, route="none", method="other", code="405")
        self.assertNotIn("BREW", self.daemon.request("GET", "/metrics").body.decode())

    def test_stages_and_classes(self):
        before = read(self.daemon)
        reply = self.daemon.post("/score", {"data": base64.b64encode(PICTURE).decode()}, 200)
        label = "red"
        self.assertIn(label, reply.body.decode())
        after = read(self.daemon)
        for name in ("queue", "decode", "compute"):
            metric = f"kennel_score_{name}_seconds"
            self.assertEqual(after.get(metric + "_count", model="colors"),
                             before.get(metric + "_count", model="colors") + 1, name)
            self.assertGreater(after.get(metric + "_sum", model="colors") + 1e-6, before.get(metric + "_sum"))
        self.assertEqual(after.get("kennel_predictions_total", label=label),
                         before.get("kennel_predictions_total", label=label) + 1)
        self.assertEqual(after.get("kennel_score_batch_pictures_sum"),
                         before.get("kennel_score_batch_pictures_sum") + 1)

    def test_state_of_things(self):
        got = read(self.daemon)
        self.assertEqual(got.get("kennel_jobs", state="succeeded"), 1)
        self.assertEqual(got.get("kennel_jobs", state="failed"), 0)
        self.assertEqual(got.get("kennel_job_pictures_total"), 36)
        self.assertGreater(got.get("kennel_job_forward_passes_total"), 0)
        self.assertEqual(got.get("kennel_swaps_total", model="colors"), 1)
        self.assertEqual(got.get("kennel_loaded_versions"), 1)
        self.assertGreater(got.get("kennel_loaded_bytes"), 1000)
        self.assertEqual(got.get("kennel_score_queue_pictures"), 0)
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="ascii") as file:
            resident = 1024 * int(re.search(r"VmRSS:\s*(\d+)", file.read()).group(1))
        self.assertAlmostEqual(got.get("process_resident_memory_bytes") / resident, 1, delta=0.3)
        self.assertGreater(got.get("process_cpu_seconds_total"), 0)
        self.assertAlmostEqual(got.get("process_start_time_seconds"), os.stat(self.daemon.folder).st_mtime, delta=60)

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_promtool(self):
        text = self.daemon.request("GET", "/metrics").body
        run = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
        self.assertEqual((run.returncode, run.stdout + run.stderr), (0, b""))


if __name__ == "__main__":
    unittest.main()
