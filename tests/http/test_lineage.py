"""Lineage: what each thing came from and what came from it, walked over a registry with two generations."""
import base64
import hashlib
import json
import subprocess
import unittest

from kennel_test import COLORS, KENNEL, V1, Case, color_files, make_model, tar


class Lineage(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        first = make_model(cls.daemon, "colors")
        files = color_files(start=12, per_class=2)
        cls.daemon.post(f"{V1}/datasets/colors/import", tar(files), 200)
        second = cls.daemon.post(f"{V1}/models/colors/retrain", {"seed": 2, "dataset_version": 2}, 202).json
        cls.jobs = [first["id"], cls.daemon.wait_job(second["id"])["id"]]
        cls.old = hashlib.sha256(color_files(per_class=1)["red/0.png"]).hexdigest()
        cls.new = hashlib.sha256(files["red/12.png"]).hexdigest()

    def ask(self, of, query=""):
        return self.daemon.get(f"{V1}/lineage?of={of}{query}")

    def links(self, of, direction):
        return {(one["relation"], one["of"]) for one in self.ask(of)[direction]}

    def test_a_version(self):
        of = "model/colors/versions/2"
        self.assertEqual(self.links(of, "from"), {
            ("trained_by", f"job/{self.jobs[1]}"), ("trained_on", "dataset/colors/versions/2"),
            ("built_on", "backbone/tiny"), ("compared_with", "model/colors/versions/1")})
        # Tests before may have asked it for predictions.
        self.assertEqual({one for one in self.links(of, "to") if one[0] != "answered"}, set())
        old = {one for one in self.links("model/colors/versions/1", "to") if one[0] != "answered"}
        self.assertEqual(old, {("champion_of", f"job/{self.jobs[1]}")})
        self.assertNotIn("compared_with", {one[0] for one in self.links("model/colors/versions/1", "from")})

    def test_a_job(self):
        of = f"job/{self.jobs[1]}"
        self.assertEqual(self.links(of, "from"), {
            ("trains_on", "dataset/colors/versions/2"), ("builds_on", "backbone/tiny"),
            ("compares_with", "model/colors/versions/1")})
        self.assertEqual(self.links(of, "to"), {("trained", "model/colors/versions/2")})

    def test_a_dataset_version(self):
        first, second = "dataset/colors/versions/1", "dataset/colors/versions/2"
        self.assertEqual(self.links(first, "to"), {
            ("followed_by", second), ("used_by", f"job/{self.jobs[0]}"), ("trained", "model/colors/versions/1")})
        held = {name for relation, name in self.links(second, "from") if relation == "holds"}
        self.assertEqual(len(held), 42)
        self.assertLessEqual({f"picture/{self.old}", f"picture/{self.new}"}, held)
        self.assertIn(("follows", first), self.links(second, "from"))
        self.assertNotIn(("holds", f"picture/{self.new}"), self.links(first, "from"))

    def test_a_picture(self):
        self.assertEqual(self.links(f"picture/{self.old}", "to"), {
            ("member_of", "dataset/colors/versions/1"), ("member_of", "dataset/colors/versions/2"),
            ("trained", "model/colors/versions/1"), ("trained", "model/colors/versions/2")})
        self.assertEqual(self.links(f"picture/{self.new}", "to"), {
            ("member_of", "dataset/colors/versions/2"), ("trained", "model/colors/versions/2")})

    def test_a_backbone(self):
        self.assertEqual(self.links("backbone/tiny", "to"), {
            ("used_by", f"job/{self.jobs[0]}"), ("used_by", f"job/{self.jobs[1]}"),
            ("trained", "model/colors/versions/1"), ("trained", "model/colors/versions/2")})

    def test_a_prediction(self):
        path = f"{V1}/models/colors/score"
        first, second = (self.daemon.request("POST", path, color_files(per_class=1)["red/0.png"],
                                             {"Content-Type": "image/png", "X-Kennel-Version": str(v)}).json
                         for v in (1, 2))
        # Right after the answer, which waits to be written.
        of = f"prediction/{second['prediction_id']}"
        self.assertEqual(self.links(of, "from"), {("answered_by", "model/colors/versions/2")})
        self.assertEqual(self.links(of, "to"), set())
        self.assertIsNotNone(self.ask(of)["created"])
        self.assertIn(("answered", of), self.links("model/colors/versions/2", "to"))
        self.assertIn(("answered", f"prediction/{first['prediction_id']}"), self.links("model/colors/versions/1", "to"))
        self.assertNotIn(("answered", of), self.links("model/colors/versions/1", "to"))
        # And on to the pictures that taught it.
        trained_on = dict(self.links("model/colors/versions/2", "from"))["trained_on"]
        self.assertIn(("holds", f"picture/{self.new}"), self.links(trained_on, "from"))

    def test_predictions_of_every_protocol(self):
        """Each picture of a request has a name, which the reply's header says."""
        pictures = [{"b64": base64.b64encode(p).decode()} for p in color_files(per_class=1).values()]
        data = {"data": pictures[0]["b64"]}
        tensor = {"name": "image_bytes", "shape": [3], "datatype": "BYTES", "data": [p["b64"] for p in pictures]}
        infer = {"inputs": [tensor]}
        answers = {("/score", json.dumps(data), 1), (f"{V1}/service/colors/score", json.dumps(data), 1),
                   (f"{V1}/models/colors/score", json.dumps(data), 1),
                   (f"{V1}/models/colors/versions/1/score", json.dumps(data), 1),
                   ("/v1/models/colors:predict", json.dumps({"instances": pictures}), 3),
                   ("/v1/models/colors/versions/1:predict", json.dumps({"instances": pictures[:1]}), 1),
                   ("/v1/models/colors/labels/production:predict", json.dumps({"instances": pictures}), 3),
                   ("/v2/models/colors/infer", json.dumps(infer), 3),
                   ("/v2/models/colors/versions/1/infer", json.dumps(infer), 3)}
        for path, body, count in answers:
            with self.subTest(path):
                reply = self.daemon.post(path, body, 200, headers={"Content-Type": "application/json"})
                name = reply.header("X-Kennel-Prediction-Id")
                if "prediction_id" in str(reply.body):
                    self.assertEqual(reply.json["prediction_id"], name)
                names = [name, *(f"{name}-{i}" for i in range(1, count))]
                for i, (one, label) in enumerate(zip(names, COLORS)):
                    self.assertEqual(self.links(f"prediction/{one}", "from"),
                                     {("answered_by", "model/colors/versions/1")})
                    told = self.daemon.post(f"{V1}/feedback", {"prediction_id": one, "label": label}, 200).json
                    self.assertEqual((told["version"], told["label"]), (1, label))
                    if count > 1:  # the pictures differ, and so do their answers
                        self.assertTrue(told["right"], (i, told))
                self.refused(self.daemon.request("GET", f"{V1}/lineage?of=prediction/{name}-{count}"), 404,
                             "prediction_unknown")
        broken = self.daemon.post("/v1/models/colors:predict", {"instances": [{"b64": "AAAA"}]})
        self.assertEqual(broken.header("X-Kennel-Prediction-Id"), None, broken)

    def test_every_name_can_be_asked_for(self):
        """From one picture everything is reached, and each link is answered from its other end too."""
        seen, todo = {}, [f"picture/{self.new}"]
        while todo:
            of = todo.pop()
            seen[of] = {d: {one["of"] for one in self.ask(of)[d]} for d in ("from", "to")}
            todo += [name for names in seen[of].values() for name in names if name not in seen and name not in todo]
        for name in (*(f"job/{j}" for j in self.jobs), "backbone/tiny", "model/colors/versions/1"):
            self.assertIn(name, seen)
        # Back by the same link, but for two that take a second step: a champion knows the job that compared it, and so
        # the version; a version knows the dataset version, and so the pictures.
        back = {"from": "to", "to": "from"}
        for of in seen:
            for way in back:
                for relation, name in self.links(of, way):
                    there = {name} if relation != "compared_with" and (of[:8], relation) != ("picture/", "trained") \
                        else seen[name][back[way]]
                    self.assertTrue(any(of in seen[one][back[way]] for one in there), (of, relation, name))

    def test_the_limit_holds_for_each_relation(self):
        reply = self.ask("dataset/colors/versions/2", "&limit=5")
        self.assertEqual(sum(one["relation"] == "holds" for one in reply["from"]), 5)
        self.assertTrue(reply["cut"])
        self.assertEqual(len(reply["to"]), 2)
        self.assertFalse(self.ask("dataset/colors/versions/2", "&limit=42")["cut"])

    def test_refusals(self):
        ask = lambda query: self.daemon.request("GET", f"{V1}/lineage{query}")
        self.refused(ask(""), 400, "field_missing")
        self.refused(ask("?of=job/x&limit=0"), 400, "field_range")
        self.refused(ask("?of=job/x&limit=1001"), 400, "field_range")
        for of in ("", "colors", "job/", "model/colors", "model/colors/versions/", "model/colors/versions/x",
                   "model/colors/versions/0", "model/versions/1", "picture/ab", "picture/" + "g" * 64,
                   "backbone/a/b", "model/" + "a" * 300 + "/versions/1"):
            self.refused(ask(f"?of={of}"), 400, "field_range")
        for of, code in (("job/none", "job_unknown"), ("model/colors/versions/9", "version_unknown"),
                         ("dataset/none/versions/1", "version_unknown"), ("backbone/none", "backbone_unknown"),
                         ("picture/" + "0" * 64, "picture_unknown"), ("prediction/none", "prediction_unknown")):
            self.refused(ask(f"?of={of}"), 404, code)

    def test_the_command(self):
        run = lambda *words: subprocess.run([KENNEL, "--url", self.daemon.url, "lineage", *words],
                                            capture_output=True, text=True, timeout=60)
        told = run("model/colors/versions/2")
        self.assertEqual(told.returncode, 0, told.stderr)
        for word in ("came from", "came of it", f"job/{self.jobs[1]}", "compared_with"):
            self.assertIn(word, told.stdout)
        self.assertEqual(json.loads(run("backbone/tiny", "--json").stdout), self.ask("backbone/tiny"))
        self.assertEqual(run("job/none").returncode, 4)
        self.assertEqual(run().returncode, 2)
        self.assertIn("--limit", run("dataset/colors/versions/2", "--limit", "3").stderr)


if __name__ == "__main__":
    unittest.main()
