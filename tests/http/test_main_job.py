"""The main job on real pictures with plain curl: from nothing to a promoted model that answers the workshop's
own line. Skipped without KENNEL_SHARED."""
import base64
import hashlib
import json
import os
import re
import subprocess
import tarfile
import unittest

from kennel_test import V1, Daemon, shared

BACKBONE = shared("backbones", "mobilenet_v2_1.0_224.onnx")
DOGS = shared("datasets", "stanford-dogs-10.tar")
PICTURE = "n02091032_2687.jpg"


class MainJob(unittest.TestCase):
    """The steps build on one another, so they are one test."""

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(lambda: self.daemon.process.poll() is None and self.daemon.kill())
        with tarfile.open(DOGS) as archive:
            name = next(n for n in archive.getnames() if n.endswith(PICTURE))
            self.picture = archive.extractfile(name).read()
        self.file = os.path.join(self.daemon.folder, PICTURE)
        with open(self.file, "wb") as file:
            file.write(self.picture)

    def curl(self, *words):
        run = subprocess.run(["curl", "-sSf", "-m", "120", *words], capture_output=True, cwd=self.daemon.folder)
        self.assertEqual(run.returncode, 0, f"curl {words}: {run.stderr} {run.stdout}")
        return run.stdout

    def shell(self, line):
        run = subprocess.run(["bash", "-c", "set -o pipefail; " + line], capture_output=True, text=True,
                             cwd=self.daemon.folder, timeout=120)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_from_nothing_to_an_answer(self):
        url = self.daemon.url
        self.assertEqual(self.curl(url), b"Healthy")

        backbone = json.loads(self.curl("--data-binary", f"@{BACKBONE}", f"{url}{V1}/backbones?name=mobilenet_v2"))
        self.assertEqual(backbone["feature_width"], 1280)
        with open(BACKBONE, "rb") as file:
            self.assertEqual(backbone["digest"], hashlib.sha256(file.read()).hexdigest())
        self.curl("-d", '{"name":"dogs"}', f"{url}{V1}/datasets")
        report = json.loads(self.curl("-X", "POST", "-T", DOGS, "-H", "Content-Type: application/x-tar",
                                      f"{url}{V1}/datasets/dogs/import"))
        self.assertEqual(report, {"version": 1, "added": 1479, "duplicates": 0, "rejected": [], "rejected_count": 0})
        self.curl("-d", '{"name":"breeds","dataset":"dogs","backbone":"mobilenet_v2"}', f"{url}{V1}/models")

        head = self.curl("-i", "-d", '{"seed":1}', f"{url}{V1}/models/breeds/retrain").decode()
        self.assertTrue(head.startswith("HTTP/1.1 202 Accepted"), head)
        location = re.search(r"^Location: (\S+)\r$", head, re.M).group(1)
        self.assertRegex(location, r"^/api/v1/jobs/[0-9a-z-]+$")
        self.assertRegex(head, r"(?m)^Retry-After: \d+\r$")
        for _ in range(20):
            job = json.loads(self.curl(f"{url}{location}?wait=30"))
            if job["state"] not in ("queued", "running"):
                break
        self.assertEqual(job["state"], "succeeded", job)
        self.assertEqual(job["forward_passes"], 1479)

        version = self.daemon.get(f"{V1}/models/breeds/versions/1")
        served, precision = version["metrics"]["accuracy"], version["precision"]
        self.assertGreaterEqual(precision["fp32_accuracy"], 0.925)
        self.assertGreaterEqual(served, precision["fp32_accuracy"] - precision["margin"])
        self.assertEqual(version["metrics"]["count"], 400)
        self.assertTrue(version["gate"]["passed"])
        self.refused_before_promotion()

        self.curl("-d", '{"version":1}', f"{url}{V1}/models/breeds/promote")
        self.answers()
        self.unchanged_retrain(version)
        self.downloads(version)
        self.survives_a_restart()

    def refused_before_promotion(self):
        reply = self.daemon.post("/score", {"data": base64.b64encode(self.picture).decode()})
        self.assertEqual((reply.status, reply.code), (503, "not_promoted"))
        self.assertTrue(reply.header("Retry-After"))

    def workshop_line(self):
        """The workshop's own line, word for word but for the port."""
        return self.shell(f"(echo -n '{{\"data\": \"'; base64 {PICTURE}; echo '\"}}') | curl -sX POST "
                          f"-H \"Content-Type: application/json\" -d @- {self.daemon.url}/score")

    def answers(self):
        url = self.daemon.url
        answer = self.workshop_line()
        self.assertRegex(answer, r'^"\{\\"label\\": \\"Italian_greyhound\\", \\"probability\\": \\"0\.[0-9]+\\"\}"$')
        probability = json.loads(json.loads(answer))["probability"]
        self.assertGreater(float(probability), 0.5)
        # --data-binary keeps base64's line breaks.
        self.assertEqual(answer, self.shell(
            f"(echo -n '{{\"data\": \"'; base64 {PICTURE}; echo '\"}}') | curl -sX POST --data-binary @- {url}/score"))
        self.assertEqual(answer, self.shell(
            f"(echo -n '{{\"data\": \"'; base64 {PICTURE}; echo '\"}}') | curl -sX POST -H 'Authorization: Bearer KEY' "
            f"-H 'Content-Type: application/json' -d @- {url}/api/v1/service/breeds/score"))
        ways = [
            self.curl("--data-binary", f"@{PICTURE}", f"{url}{V1}/models/breeds/score?top=1"),
            self.curl("-H", "Content-Type: image/jpeg", "--data-binary", f"@{PICTURE}",
                      f"{url}{V1}/models/breeds/score?top=1"),
            self.curl("-H", "Content-Type: image/jpeg", "--data-binary", f"@{PICTURE}",
                      f"{url}{V1}/models/breeds/versions/1/score?top=1"),
            self.curl("-d", json.dumps({"data": base64.b64encode(self.picture).decode()}),
                      f"{url}{V1}/models/breeds/score?top=1"),
        ]
        ids = set()
        for way in ways:
            one = json.loads(way)
            self.assertEqual((one["model"], one["version"]), ("breeds", 1))
            ids.add(one["prediction_id"])
            # The same number, digit for digit, in every form.
            self.assertIn(f'"label":"Italian_greyhound","probability":{probability}'.encode(), way)
        self.assertEqual(len(ids), len(ways))
        every = self.daemon.post(f"{V1}/models/breeds/score?top=10", self.picture, 200).json["predictions"]
        self.assertEqual(len(every), 10)
        self.assertAlmostEqual(sum(p["probability"] for p in every), 1, places=5)
        self.assertEqual(every, sorted(every, key=lambda p: -p["probability"]))

    def unchanged_retrain(self, version):
        """No forward pass, the same bits; the gate finds it no better, so promote answers 409 with the numbers."""
        job = self.daemon.post(f"{V1}/models/breeds/retrain", {"seed": 1}, 202).json
        job = self.daemon.wait_job(job["id"])
        self.assertEqual((job["state"], job["forward_passes"]), ("rejected", 0), job)
        again = self.daemon.get(f"{V1}/models/breeds/versions/{job['version']}")
        self.assertEqual(again["digest"], version["digest"])
        reply = self.daemon.post(f"{V1}/models/breeds/promote", {"version": job["version"]}, 409)
        self.assertEqual(reply.code, "gate_refused")
        self.assertEqual(reply.json["gate"]["accuracy"], reply.json["gate"]["champion_accuracy"])
        self.assertTrue(reply.json["gate"]["reasons"])
        self.daemon.post(f"{V1}/models/breeds/promote",
                         {"version": job["version"], "force": True, "reason": "a drill"}, 200)
        self.assertEqual(self.daemon.get(f"{V1}/models/breeds")["production"], 2)
        self.daemon.post(f"{V1}/models/breeds/rollback", None, 200)
        self.assertEqual(self.daemon.get(f"{V1}/models/breeds")["production"], 1)
        history = self.daemon.get(f"{V1}/models/breeds/promotions")["promotions"]
        self.assertEqual([h["version"] for h in history], [1, 2, 1])
        self.assertEqual(history[1]["reason"], "a drill")

    def downloads(self, version):
        path = f"{V1}/models/breeds/versions/1/model.onnx"
        reply = self.daemon.request("GET", path, expect=200)
        self.assertEqual(hashlib.sha256(reply.body).hexdigest(), version["digest"])
        self.assertEqual(reply.header("ETag"), f'"{version["digest"]}"')
        self.assertIn("breeds-v1.onnx", reply.header("Content-Disposition"))
        self.daemon.request("GET", path, headers={"If-None-Match": reply.header("ETag")}, expect=304)
        self.daemon.request("GET", path, headers={"If-None-Match": '"' + "0" * 64 + '"'}, expect=200)

    def survives_a_restart(self):
        before = self.workshop_line()
        self.daemon.stop(keep=True)
        folder = self.daemon.folder
        self.daemon = Daemon(state=self.daemon.state)
        self.daemon.folder = folder
        self.assertEqual(self.daemon.get("/readyz"), {"ready": True, "default_model": "breeds"})
        self.assertEqual(self.workshop_line(), before)
        self.daemon.stop()


if __name__ == "__main__":
    unittest.main()
