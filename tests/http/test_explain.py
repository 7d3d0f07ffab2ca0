"""What a network is compiled to: over HTTP, and as the client prints it."""
import json
import os
import re
import subprocess
import tempfile
import unittest

from kennel_test import KENNEL, V1, Case, tiny_backbone


class Explain(Case):
    options = ("--max-backbone-bytes", "1M")

    def explain(self, query="", status=200):
        return self.daemon.post(f"{V1}/explain{query}", tiny_backbone(), status)

    def test_steps(self):
        plan = self.explain().json
        self.assertEqual((plan["batch"], plan["threads"]), (1, 1))
        self.assertRegex(plan["engine"], "^onednn-")
        self.assertTrue(plan["steps"])
        self.assertIn("convolution", {s["primitive"] for s in plan["steps"]})
        self.assertTrue(all(s["implementation"] and s["output"] and s["bytes"] > 0 for s in plan["steps"]))
        self.assertAlmostEqual(sum(s["share"] for s in plan["steps"]), 1, places=6)
        self.assertAlmostEqual(sum(s["microseconds"] for s in plan["steps"]), plan["microseconds"], places=3)
        self.assertTrue(plan["steps"][0]["input"].startswith("1x3x"))

    def test_batch_and_threads(self):
        plan = self.explain("?batch=4&threads=2").json
        self.assertEqual((plan["batch"], plan["threads"]), (4, 2))
        self.assertEqual(plan["repeat"], 1)
        self.assertTrue(plan["steps"][0]["input"].startswith("4x3x"))

    def test_output(self):
        feature = self.daemon.post(f"{V1}/backbones?name=b", tiny_backbone(), 201).json["feature_tensor"]
        shorter = self.explain(f"?output={feature}").json
        self.assertLessEqual(len(shorter["steps"]), len(self.explain().json["steps"]))

    def test_nothing_is_kept(self):
        before = self.daemon.get(f"{V1}/backbones")
        self.explain()
        self.assertEqual(self.daemon.get(f"{V1}/backbones"), before)

    def test_refusals(self):
        post = self.daemon.post
        for query in ("?batch=0", "?batch=17", "?threads=3", "?threads=x"):
            self.refused(post(f"{V1}/explain{query}", tiny_backbone()), 400, "field_range")
        self.refused(post(f"{V1}/explain?name=x", tiny_backbone()), 400, "field_unknown")
        self.refused(post(f"{V1}/explain?output=nowhere", tiny_backbone()), 422, "onnx_feature")
        self.refused(post(f"{V1}/explain", b"no network"), 422, "onnx_syntax")
        self.refused(post(f"{V1}/explain", bytes(1 << 20) + b"x"), 413, "body_too_large")

    def test_client(self):
        with tempfile.TemporaryDirectory(prefix="kennel-explain-") as folder:
            path = os.path.join(folder, "tiny.onnx")
            with open(path, "wb") as file:
                file.write(tiny_backbone())

            def kennel(*words):
                return subprocess.run([KENNEL, "model", "explain", *words], capture_output=True, text=True, timeout=60,
                                      env=dict(os.environ, KENNEL_URL=self.daemon.url))

            run = kennel(path, "--threads", "2")
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual(run.stdout.split()[:3], ["STEP", "PRIMITIVE", "IMPLEMENTATION"])
            self.assertTrue(re.search(r" us +[0-9.]+ %", run.stdout), run.stdout)
            self.assertIn("batch 1, 2 threads:", run.stdout)
            self.assertEqual(json.loads(kennel(path, "--json").stdout)["threads"], 1)
            self.assertEqual(kennel(path, "--batch", "99").returncode, 4)
            self.assertEqual(kennel(path + ".none").returncode, 4)


if __name__ == "__main__":
    unittest.main()
