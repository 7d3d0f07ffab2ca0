"""Scoring over HTTP with a tiny network: the workshop's contract to the byte, every way to send a picture, one
answer whatever the way, and answers that belong together while versions change."""
import base64
import concurrent.futures
import json
import unittest

from kennel_test import COLORS, V1, Case, color_files, make_model, png, tar, tiny_backbone

PICTURE = png(40, 36, (198, 62, 52), 77)
ENCODED = base64.b64encode(PICTURE).decode()


class Score(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, "colors")

    def workshop(self, body, **headers):
        return self.daemon.post("/score", body, 200, {n.replace("_", "-"): v for n, v in headers.items()}).body

    def test_the_contract_to_the_byte(self):
        body = self.workshop({"data": ENCODED})
        best = self.daemon.post(f"{V1}/models/colors/score?top=1", PICTURE, 200).json["predictions"][0]
        inner = json.loads(json.loads(body))
        self.assertEqual(inner["label"], best["label"])
        self.assertEqual(float(inner["probability"]), best["probability"])
        # As Python would have written it.
        self.assertEqual(body.decode(), json.dumps(json.dumps(inner)))
        self.assertEqual(list(inner), ["label", "probability"])

    def test_every_way_gives_the_same(self):
        want = self.workshop({"data": ENCODED})
        lines = "\n".join(ENCODED[i:i + 76] for i in range(0, len(ENCODED), 76))
        for broken in (lines, lines.replace("\n", "\r\n"), lines.replace("\n", "\t"), "\n" + lines + "\n"):
            self.assertEqual(self.workshop('{"data": "' + broken + '"}\n'), want)
        self.assertEqual(self.workshop('\r\n{\t"data":\n"' + ENCODED + '"}'), want)
        self.assertEqual(self.workshop('{"data": "%s"}' % ENCODED.replace("/", "\\/")), want)
        for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"):
            self.assertEqual(self.workshop({"data": ENCODED}, Content_Type=kind), want)
        self.assertEqual(self.daemon.post("/api/v1/service/colors/score", {"data": ENCODED}, 200,
                                          {"Authorization": "Bearer KEY"}).body, want)

    def test_pictures_as_they_are(self):
        path = f"{V1}/models/colors/score"
        want = self.daemon.post(path, PICTURE, 200).json["predictions"]
        self.assertEqual(len(want), 3)
        for kind in ("image/png", "image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded"):
            got = self.daemon.post(path, PICTURE, 200, {"Content-Type": kind}).json
            self.assertEqual((got["predictions"], got["model"], got["version"]), (want, "colors", 1))
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            got = self.daemon.post(path, {"data": ENCODED}, 200, {"Content-Type": kind}).json
            self.assertEqual(got["predictions"], want)
        got = self.daemon.post(f"{V1}/models/colors/versions/1/score", PICTURE, 200).json
        self.assertEqual(got["predictions"], want)
        self.assertAlmostEqual(sum(p["probability"] for p in want), 1, places=5)

    def test_top(self):
        for top, count in ((1, 1), (2, 2), (10000, 3)):
            got = self.daemon.post(f"{V1}/models/colors/score?top={top}", PICTURE, 200).json
            self.assertEqual(len(got["predictions"]), count)
        for top in ("0", "-1", "10001", "x", ""):
            self.refused(self.daemon.post(f"{V1}/models/colors/score?top={top}", PICTURE), 400, "field_range")

    def test_prediction_ids_differ(self):
        ids = {self.daemon.post(f"{V1}/models/colors/score", PICTURE).json["prediction_id"] for _ in range(50)}
        self.assertEqual(len(ids), 50)
        self.assertTrue(all(len(i) == 32 for i in ids))

    def test_many_at_once(self):
        pictures = list(color_files(10, start=100).values())
        path = f"{V1}/models/colors/score"
        want = [self.daemon.post(path, p, 200).json["predictions"] for p in pictures]

        def run(start):
            connection = self.daemon.connect()
            got = [self.daemon.request("POST", path, pictures[(start + i) % len(pictures)], connection=connection,
                                       expect=200).json["predictions"] for i in range(30)]
            connection.close()
            return got == [want[(start + i) % len(pictures)] for i in range(30)]

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.assertTrue(all(pool.map(run, range(16))))

    def test_ready_names_the_default(self):
        self.assertEqual(self.daemon.get("/readyz"), {"ready": True, "default_model": "colors"})


class Names(Case):
    options = ("--default-model", "second")

    def test_labels_that_need_escapes(self):
        labels = {'a "quoted" one': (200, 60, 50), "caf\u00e9 \U0001f415": (60, 190, 70), "back\\slash": (50, 70, 200)}
        make_model(self.daemon, "first", train=False)
        self.daemon.post(f"{V1}/datasets", {"name": "odd"}, 201)
        files = {}
        for label, color in labels.items():
            for i in range(10):
                files[f"{'val' if i < 3 else 'train'}/{label}/{i}.png"] = png(40, 36, color, i)
        self.daemon.post(f"{V1}/datasets/odd/import", tar(files), 200)
        self.daemon.post(f"{V1}/models", {"name": "second", "dataset": "odd", "backbone": "tiny"}, 201)
        job = self.daemon.wait_job(self.daemon.post(f"{V1}/models/second/retrain", {}, 202).json["id"])
        self.daemon.post(f"{V1}/models/second/promote",
                         {"version": job["version"], "force": True, "reason": "the labels matter here"}, 200)
        seen = set()
        for color in labels.values():
            body = self.daemon.post("/score", {"data": base64.b64encode(png(40, 36, color, 50)).decode()}, 200).body
            inner = json.loads(json.loads(body))
            self.assertEqual(body.decode(), json.dumps(json.dumps(inner)))
            seen.add(inner["label"])
        self.assertLessEqual(seen, set(labels))
        every = self.daemon.post(f"{V1}/models/second/score", PICTURE, 200).json["predictions"]
        self.assertEqual({p["label"] for p in every}, set(labels))


class Prefixes(Case):
    def test_a_change_of_the_labels_form_is_seen_at_once(self):
        prefixed = {f"n0000000{i}-{label}": color for i, (label, color) in enumerate(COLORS.items())}
        self.daemon.post(f"{V1}/backbones?name=tiny", tiny_backbone(), 201)
        self.daemon.post(f"{V1}/datasets", {"name": "wnids"}, 201)
        self.daemon.post(f"{V1}/datasets/wnids/import", tar(color_files(12, prefixed)), 200)
        self.daemon.post(f"{V1}/models", {"name": "wnids", "dataset": "wnids", "backbone": "tiny"}, 201)
        job = self.daemon.wait_job(self.daemon.post(f"{V1}/models/wnids/retrain", {}, 202).json["id"])
        patch = lambda strip: self.daemon.request("PATCH", f"{V1}/models/wnids",
                                                  json.dumps({"strip_label_prefix": strip}), expect=200)
        patch(None)  # nothing is in production yet
        second = self.daemon.wait_job(self.daemon.post(f"{V1}/models/wnids/retrain", {"seed": 2}, 202).json["id"])
        self.daemon.post(f"{V1}/models/wnids/promote", {"version": job["version"]}, 200)
        for strip, want in ((None, set(COLORS)), (False, set(prefixed)), (True, set(COLORS)), (None, set(COLORS))):
            patch(strip)
            got = self.daemon.post(f"{V1}/models/wnids/score", PICTURE, 200).json["predictions"]
            self.assertEqual({p["label"] for p in got}, want, strip)
            inner = json.loads(json.loads(self.daemon.post("/score", {"data": ENCODED}, 200).body))
            self.assertIn(inner["label"], want)
            # So it is with a version that is not in production, loaded on demand and kept.
            other = self.daemon.post(f"{V1}/models/wnids/versions/{second['version']}/score", PICTURE, 200).json
            self.assertEqual({p["label"] for p in other["predictions"]}, want, strip)


class Several(Case):
    def test_two_in_production_need_a_name(self):
        make_model(self.daemon, "one")
        self.daemon.post("/score", {"data": ENCODED}, 200)
        make_model(self.daemon, "two")
        self.refused(self.daemon.post("/score", {"data": ENCODED}), 409, "model_ambiguous")
        self.assertEqual(self.daemon.get("/readyz")["default_model"], None)
        for name in ("one", "two"):
            self.daemon.post(f"{V1}/service/{name}/score", {"data": ENCODED}, 200)


if __name__ == "__main__":
    unittest.main()
