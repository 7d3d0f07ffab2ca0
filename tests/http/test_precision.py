"""The precision a version is served in: chosen by the job, told with both accuracies, and what answers."""
import unittest

from kennel_test import V1, Case, make_model, png

PICTURE = png(40, 36, (198, 62, 52), 77)


class Precision(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, "colors", promote=False)

    def train(self, recipe):
        job = self.daemon.post(f"{V1}/models/colors/retrain", {"seed": 1, "recipe": recipe}, 202).json
        job = self.daemon.wait_job(job["id"])
        self.assertIn(job["state"], ("succeeded", "rejected"), job)
        return self.daemon.get(f"{V1}/models/colors/versions/{job['version']}")

    def answer(self, version):
        path = f"{V1}/models/colors/versions/{version['version']}/score"
        return self.daemon.post(path, PICTURE, 200).json["predictions"]

    def test_both_accuracies_and_the_choice(self):
        first = self.daemon.get(f"{V1}/models/colors/versions/1")
        self.assertEqual(first["recipe"]["precision"], "auto")
        told = first["precision"]
        self.assertEqual((told["asked"], told["served"], told["margin"]), ("auto", "int8", 0.005))
        self.assertGreaterEqual(told["int8_accuracy"], told["fp32_accuracy"] - 0.005)
        # What is judged is what is served.
        self.assertEqual(first["metrics"]["accuracy"], told["int8_accuracy"])
        self.assertGreater(told["forward_passes"], first["metrics"]["count"])
        self.assertEqual(first["report"]["precision"], told)

    def test_int8_answers(self):
        fp32, int8 = self.train({"precision": "fp32"}), self.train({"precision": "int8", "precision_margin": 0.1})
        self.assertEqual(fp32["precision"]["served"], "fp32")
        self.assertIsNone(fp32["precision"]["int8_accuracy"])
        self.assertEqual(fp32["precision"]["forward_passes"], 0)
        self.assertEqual((int8["precision"]["served"], int8["precision"]["margin"]), ("int8", 0.1))
        # The first version has left the features of both.
        self.assertEqual(int8["precision"]["forward_passes"], 0)
        self.assertEqual(int8["precision"]["fp32_accuracy"], fp32["precision"]["fp32_accuracy"])
        exact, rounded = self.answer(fp32), self.answer(int8)
        self.assertEqual([p["label"] for p in exact], [p["label"] for p in rounded])
        self.assertNotEqual(exact, rounded)
        for a, b in zip(exact, rounded):
            self.assertAlmostEqual(a["probability"], b["probability"], delta=0.05)
        # auto chose int8: the same network, the same answers.
        self.assertEqual(self.answer({"version": 1}), rounded)

    def test_refusals(self):
        for recipe, code in (({"precision": "int4"}, "field_range"), ({"precision": 8}, "json_type"),
                             ({"precision_margin": 2}, "field_range")):
            reply = self.daemon.post(f"{V1}/models/colors/retrain", {"recipe": recipe})
            self.assertEqual((reply.status, reply.code), (400, code), reply.body)


if __name__ == "__main__":
    unittest.main()
