"""A version's own ONNX file: /score gives what ONNX Runtime makes of it, to 1e-4. The numbers are
tests/golden/artifact.json, made once with the peer by artifact.py beside it."""
import json
import os
import unittest

from kennel_test import COLORS, HERE, V1, Case, color_files, png, tar, tiny_backbone

# Between the colours, so that no probability is near 0 or 1.
PICTURES = [png(40 + 3 * i, 36 + i, tuple((a * (6 - i) + b * i) // 6 for a, b in zip(one, other)), 60 + i)
            for one, other in (("red", "green"), ("green", "blue"), ("blue", "red"))
            for one, other in ((COLORS[one], COLORS[other]),) for i in range(1, 6)]


def train(daemon):
    """A fixed penalty: a choice between two near ones might fall differently on another machine. In fp32, as ONNX
    Runtime computes the file."""
    daemon.post(f"{V1}/backbones?name=tiny", tiny_backbone(), 201)
    daemon.post(f"{V1}/datasets", {"name": "artifact"}, 201)
    daemon.post(f"{V1}/datasets/artifact/import", tar(color_files(12)), 200)
    daemon.post(f"{V1}/models", {"name": "artifact", "dataset": "artifact", "backbone": "tiny"}, 201)
    job = daemon.post(f"{V1}/models/artifact/retrain", {"seed": 1, "recipe": {"penalty": 1.0, "precision": "fp32"}}, 202).json
    assert daemon.wait_job(job["id"])["state"] == "succeeded"


def scores(daemon, model, picture):
    reply = daemon.post(f"{V1}/models/{model}/versions/1/score?top=10000", picture, 200).json
    return {p["label"]: p["probability"] for p in reply["predictions"]}


class Artifact(Case):
    def test_scores_are_those_of_onnx_runtime(self):
        with open(os.path.join(HERE, "..", "golden", "artifact.json")) as file:
            expected = json.load(file)
        self.assertEqual(len(expected), len(PICTURES))
        train(self.daemon)
        for picture, theirs in zip(PICTURES, expected):
            mine = scores(self.daemon, "artifact", picture)
            self.assertEqual(set(mine), set(theirs))
            for label, probability in theirs.items():
                self.assertAlmostEqual(mine[label], probability, delta=1e-4)
        spread = [p for one in expected for p in one.values()]
        self.assertGreater(sum(0.05 < p < 0.95 for p in spread), len(spread) // 2, "the pictures tell something")


if __name__ == "__main__":
    unittest.main()
