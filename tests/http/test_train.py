"""Retraining with epochs over HTTP: modes, what a job says while it trains, how it fails, the client."""
import json
import os
import subprocess
import tempfile
import unittest

from kennel_test import KENNEL, V1, Case, make_model, until


class Train(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon)

    def retrain(self, **body):
        return self.daemon.post(f"{V1}/models/colors/retrain", body)

    def ended(self, **body):
        reply = self.retrain(**body)
        self.assertEqual(reply.status, 202, reply)
        return self.daemon.wait_job(reply.json["id"])

    def version_of(self, job):
        self.assertIn(job["state"], ("succeeded", "rejected"), job)
        return self.daemon.get(f"{V1}/models/colors/versions/{job['version']}")

    def test_each_mode(self):
        for mode, recipe in (("fine_tune", {"epochs": 2}), ("partial", {"epochs": 2, "cut": "r1"}),
                             ("scratch", {"epochs": 2}), ("fixed_feature", "workshop"), ("fine_tune", "workshop"),
                             ("head", {"augment": "workshop", "views": 3})):
            with self.subTest(mode=mode, recipe=recipe):
                version = self.version_of(self.ended(mode=mode, recipe=recipe))
                wanted = "head" if mode == "fixed_feature" else mode
                self.assertEqual(version["recipe"]["mode"], wanted)
                training = version["report"]["training"]
                if mode == "head":
                    self.assertIsNone(training)
                    continue
                epochs = [e for e in training["epochs"] if e["epoch"] > 0]
                self.assertEqual(len(epochs), 10 if recipe == "workshop" else 2)
                for epoch in epochs:
                    for name in ("loss", "accuracy", "learning_rate", "images_per_second", "seconds"):
                        self.assertGreaterEqual(epoch[name], 0)
                if recipe == "workshop":
                    self.assertEqual([e["learning_rate"] for e in epochs], [0.001] * 7 + [0.001 * 0.1] * 3)
                model = self.daemon.request("GET", f"{V1}/models/colors/versions/{version['version']}/model.onnx")
                self.assertEqual(model.status, 200)

    def test_progress_tells_of_epochs(self):
        reply = self.retrain(mode="fine_tune", recipe={"epochs": 10000, "patience": 0, "learning_rate": 1e-6})
        job = reply.json["id"]

        def trained():
            progress = self.daemon.get(f"{V1}/jobs/{job}")["progress"] or {}
            return progress if (progress.get("epoch") or {}).get("epoch", 0) > 1 else None
        progress = until(trained)
        self.assertEqual(progress["phase"], "train")
        self.assertEqual(progress["epochs"], 10000)
        self.assertEqual(progress["total"], 10000)
        self.assertGreater(progress["images_per_second"], 0)
        self.assertGreater(progress["seconds_left"], 0)
        self.assertGreater(progress["epoch"]["loss"], 0)
        self.assertEqual(self.daemon.post(f"{V1}/jobs/{job}/cancel").json["state"], "cancelled")

    def test_a_job_that_takes_too_long(self):
        job = self.ended(mode="fine_tune", limits={"seconds": 1},
                         recipe={"epochs": 10000, "patience": 0, "learning_rate": 1e-6})
        self.assertEqual(job["state"], "failed", job)
        self.assertEqual(job["error"]["code"], "deadline")
        self.assertIn("1 second", job["error"]["message"])
        self.assertEqual(job["attempt"], 1)
        self.daemon.healthy()

    def test_divergence(self):
        job = self.ended(mode="fine_tune", recipe={"epochs": 50, "learning_rate": 1000, "weight_decay": 1, "warmup": 0,
                                                   "body_factor": 1, "patience": 0})
        self.assertEqual(job["state"], "failed", job)
        self.assertEqual(job["error"]["code"], "diverged")
        self.assertRegex(job["error"]["message"], r"step \d+ \(epoch \d+\)")
        self.assertEqual(job["attempt"], 1)

    @unittest.skipUnless(os.environ.get("KENNEL_FAULT_SHIM"), "the sanitizers' shadow counts as memory too")
    def test_out_of_memory(self):
        for mode in ("fine_tune", "partial"):
            job = self.ended(mode=mode, limits={"memory": 16 << 20}, seed=9)
            self.assertEqual((job["state"], job["error"]["code"]), ("failed", "no_memory"), job)
        # Wherever it is that memory runs out, in a library too: one attempt, and the reason.
        for half_megabytes in range(42, 62, 3):
            job = self.ended(mode="partial", limits={"memory": half_megabytes << 19}, seed=9, recipe={"epochs": 1})
            if job["state"] == "failed":
                self.assertEqual(job["error"]["code"], "no_memory", job)
            self.assertEqual(job["attempt"], 1, job)
        self.daemon.healthy()

    def test_refusals(self):
        for recipe, code, said in (({"mode": "finetune"}, "field_range", "finetune"), ("holiday", "field_range", "workshop"),
                                   ({"mode": "fine_tune", "cut": "r1"}, "field_unknown", "cut"),
                                   ({"mode": "fine_tune", "epochs": 0}, "field_range", "epochs"),
                                   ({"mode": "scratch", "preset": "workshop"}, "recipe", "workshop")):
            reply = self.retrain(recipe=recipe)
            self.assertEqual(reply.code, code, reply)
            self.assertIn(said, reply.json["detail"])
        job = self.ended(mode="partial", recipe={"cut": "nowhere"})
        self.assertEqual((job["state"], job["error"]["code"]), ("failed", "recipe"), job)
        self.assertIn("nowhere", job["error"]["message"])

    def test_a_model_of_the_workshop(self):
        self.daemon.post(f"{V1}/models", {"name": "shop", "dataset": "colors", "backbone": "tiny",
                                          "recipe": "workshop"}, 201)
        recipe = self.daemon.get(f"{V1}/models/shop")["recipe"]
        self.assertEqual((recipe["preset"], recipe["mode"], recipe["solver"]), ("workshop", "head", "sgd"))
        job = self.daemon.post(f"{V1}/models/shop/retrain", {"mode": "fine_tune", "recipe": {"epochs": 1}}, 202).json
        self.assertEqual(job["mode"], "fine_tune")
        job = self.daemon.wait_job(job["id"])
        version = self.daemon.get(f"{V1}/models/shop/versions/{job['version']}")
        self.assertEqual((version["recipe"]["preset"], version["recipe"]["batch"]), ("workshop", 128))

    def test_the_client(self):
        def kennel(*words):
            return subprocess.run([KENNEL, "--url", self.daemon.url, *words], capture_output=True, text=True)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"epochs": 7, "learning_rate": 1e-6, "patience": 0}, file)
            file.flush()
            run = kennel("retrain", "colors", "--mode", "fine_tune", "--recipe", file.name, "--epochs", "9000",
                         "--limit-seconds", "600", "--nice", "10", "--wait")
        self.assertRegex(run.stderr, r"epoch \d+ of 9000: loss [0-9.]+, accuracy [0-9.]+ %, validation loss", run)
        job = self.daemon.get(f"{V1}/jobs/{run.stdout.split()[1]}")
        self.assertEqual((job["limits"]["seconds"], job["limits"]["nice"]), (600, 10))
        self.assertEqual(self.version_of(job)["recipe"]["learning_rate"], 1e-6)
        for words, said in ((["--recipe", "/nowhere.json"], "nowhere"), (["--recipe", "{,}"], "not JSON"),
                            (["--learning-rate", "x"], "--learning-rate")):
            run = kennel("retrain", "colors", *words)
            self.assertEqual(run.returncode, 2, run)
            self.assertIn(said, run.stderr)


if __name__ == "__main__":
    unittest.main()
