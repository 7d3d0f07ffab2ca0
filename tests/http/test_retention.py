"""Retention: what a model or a dataset does not keep gives up its bytes, and nothing else does."""
import concurrent.futures
import hashlib
import os
import shutil
import subprocess
import unittest

from kennel_test import COLORS, KENNEL, KENNELD, V1, Case, Daemon, color_files, make_model, png, tar, until
from test_metrics import read

M = f"{V1}/models/colors"
PNG = {"Content-Type": "image/png"}
PICTURE = png(40, 36, COLORS["red"], 77)


def blobs(daemon):
    root = os.path.join(daemon.state, "blobs", "sha256")
    return {name for _, _, names in os.walk(root) for name in names}


def fsck(daemon):
    """After its end."""
    told = subprocess.run([KENNELD, "fsck", "--state", daemon.state], capture_output=True, text=True)
    shutil.rmtree(daemon.folder)
    assert told.returncode == 0, told.stdout


def retrain(daemon, seed, **more):
    # The penalty makes each version differ.
    body = {"seed": seed, "recipe": {"penalty": 1 + seed}, **more}
    job = daemon.wait_job(daemon.post(f"{M}/retrain", body, 202).json["id"])
    assert job["version"], job
    return job["version"]


class Retention(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        make_model(self.daemon)
        self.running = True

    def tearDown(self):
        if self.running:
            self.daemon.stop(keep=True)
            fsck(self.daemon)

    def refused(self, method, path, code, body=None, headers=None):
        reply = self.daemon.request(method, path, body, headers)
        self.assertEqual((reply.status, reply.code), (410, code), reply)

    def gc(self, **body):
        return self.daemon.post(f"{V1}/gc", body, 200).json

    def test_versions(self):
        d = self.daemon
        for seed in range(2, 7):
            retrain(d, seed)  # 2 .. 6; 1 is in production
        d.post(f"{M}/promote", {"version": 3, "alias": "pinned"}, 200)
        self.assertEqual(self.gc()["version_count"], 0, "nothing was asked for")
        set_ = d.request("PUT", f"{M}/retention", {"keep_last": 2}, expect=200).json
        self.assertEqual(set_, {"model": "colors", "keep_last": 2, "keep_promoted": True})

        shown = {v: d.get(f"{M}/versions/{v}") for v in range(1, 7)}
        before, would = blobs(d), self.gc(dry_run=True)
        self.assertEqual(would["versions"], [f"model/colors/versions/{v}" for v in (2, 4)])
        self.assertEqual(blobs(d), before)
        self.assertIsNone(d.get(f"{M}/versions/2")["purged"])
        # A report and an artifact each.
        self.assertEqual((would["blobs"], would["dry_run"], would["swept"]), (4, True, False))
        done = self.gc()
        self.assertEqual({**done, "dry_run": True, "swept": False}, would)
        self.assertTrue(done["swept"])
        gone = before - blobs(d)
        self.assertEqual(len(gone), 4)
        self.assertLessEqual({shown[2]["digest"], shown[4]["digest"]}, gone)
        self.assertEqual(self.gc()["version_count"], 0, "once")

        # The rows are all there, with their figures; the bytes are not.
        kept = d.get(f"{M}/versions")["versions"]
        self.assertEqual([v["version"] for v in kept if v["purged"]], [4, 2])
        two = d.get(f"{M}/versions/2")
        self.assertIsNone(two["report"])
        self.assertEqual((two["metrics"]["accuracy"], two["gate"]),
                         (shown[2]["metrics"]["accuracy"], shown[2]["gate"]))
        self.assertEqual(d.get(f"{M}/versions/3"), shown[3])
        of = {one["relation"] for one in d.get(f"{V1}/lineage?of=model/colors/versions/2")["from"]}
        self.assertLessEqual({"trained_by", "trained_on"}, of)
        self.refused("GET", f"{M}/versions/2/model.onnx", "version_purged")
        self.refused("POST", f"{M}/promote", "version_purged", {"version": 2, "force": True, "reason": "x"})
        self.refused("POST", f"{M}/promote", "version_purged", {"version": 2, "alias": "other"})
        self.refused("POST", f"{M}/versions/2/score", "version_purged", PICTURE, PNG)
        self.assertEqual(d.request("GET", f"/v1/models/colors/versions/2").status, 410)
        self.assertEqual(d.get("/v2/models/colors")["versions"], ["1", "3", "5", "6"])
        for version in (1, 3, 5, 6):
            d.request("POST", f"{M}/versions/{version}/score", PICTURE, PNG, expect=200)
        lines = d.get(f"{V1}/audit?what=version.purge")["audit"]
        self.assertEqual([(one["subject"], one["after"]) for one in lines], [("model/colors", {"purged": [2, 4]})])

        # What was in production stays, unless it is said.
        d.post(f"{M}/promote", {"version": 6, "force": True, "reason": "newer"}, 200)
        self.assertEqual(self.gc()["version_count"], 0)
        d.request("PUT", f"{M}/retention", {"keep_last": 1, "keep_promoted": False}, expect=200)
        self.assertEqual(self.gc()["versions"], [f"model/colors/versions/{v}" for v in (1, 5)])
        self.refused("POST", f"{M}/rollback", "version_purged", {"reason": "back"})
        self.assertEqual(d.get(M)["production"], 6)
        d.request("DELETE", f"{M}/retention", expect=204)
        self.assertEqual(d.get(f"{M}/retention"), {"model": "colors", "keep_last": None, "keep_promoted": True})

    def test_pictures(self):
        d = self.daemon
        files = color_files(per_class=1)
        old = hashlib.sha256(files["red/0.png"]).hexdigest()
        late = hashlib.sha256(files["blue/0.png"]).hexdigest()
        D = f"{V1}/datasets/colors"
        d.request("DELETE", f"{D}/images/{old}", expect=200)   # 2
        retrain(d, 2)                                          # version 2, of dataset version 2
        d.request("DELETE", f"{D}/images/{late}", expect=200)  # 3
        d.request("PUT", f"{D}/retention", {"keep_last": 1}, expect=200)
        self.assertEqual(self.gc()["dataset_version_count"], 0, "versions 1 and 2 were trained on")
        d.request("PUT", f"{M}/retention", {"keep_last": 1, "keep_promoted": False}, expect=200)
        d.post(f"{M}/promote", {"version": 2, "force": True, "reason": "x"}, 200)
        would = self.gc(dry_run=True)
        self.assertEqual((would["versions"], would["dataset_versions"], would["picture_count"]),
                         (["model/colors/versions/1"], ["dataset/colors/versions/1"], 1))
        self.assertIn(old, blobs(d))
        self.gc()
        self.assertNotIn(old, blobs(d))
        self.assertIn(late, blobs(d), "version 2 still has it")
        self.assertIsNotNone(d.get(f"{D}/versions/1")["purged"])
        self.refused("POST", f"{M}/retrain", "version_purged", {"seed": 9, "dataset_version": 1})
        # It can come back: the same bytes are stored again.
        d.post(f"{D}/import", tar({"red/again.png": files["red/0.png"]}), 200)
        self.assertIn(old, blobs(d))
        d.request("PUT", f"{D}/images?label=blue", files["blue/0.png"], PNG, expect=200)
        retrain(d, 3)
        self.gc()
        self.assertLessEqual({old, late}, blobs(d))

    def test_beside_jobs_imports_and_backups(self):
        """Everything at once, and at the end fsck misses nothing."""
        d = self.daemon
        d.request("PUT", f"{M}/retention", {"keep_last": 1, "keep_promoted": False}, expect=200)
        d.request("PUT", f"{V1}/datasets/colors/retention", {"keep_last": 1}, expect=200)
        files = color_files(per_class=2, start=100)

        def pictures(turn):
            for name, data in files.items():
                label = name.split("/")[0]
                d.request("PUT", f"{V1}/datasets/colors/images?label={label}", data, PNG, expect=200)
                d.request("DELETE", f"{V1}/datasets/colors/images/{hashlib.sha256(data).hexdigest()}")
            d.post(f"{V1}/datasets/colors/import", tar(files))

        def jobs(turn):
            retrain(d, 10 + turn)
            d.request("GET", f"{V1}/backup", expect=200)

        def collect(turn):
            for _ in range(10):
                self.gc()

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            work = [pool.submit(f, turn) for turn in range(4) for f in (pictures, jobs, collect)]
            for one in work:
                one.result()
        until(lambda: self.gc()["swept"])  # on a busy machine the jobs may have ended last
        self.assertIsNotNone(d.get(f"{M}/versions/2")["purged"])

    def test_the_command(self):
        run = lambda *words: subprocess.run([KENNEL, "--url", self.daemon.url, *words], capture_output=True,
                                            text=True, timeout=60)
        retrain(self.daemon, 2)
        retrain(self.daemon, 3)
        self.assertEqual(run("retention", "set", "model/colors").returncode, 2)
        self.assertEqual(run("retention", "set", "colors", "--keep-last", "1").returncode, 2)
        self.assertEqual(run("retention", "set", "model/colors", "--keep-last", "1").returncode, 0)
        self.assertIn("keep_last", run("retention", "show", "model/colors").stdout)
        told = run("gc", "--dry-run")
        self.assertIn("model/colors/versions/2\n", told.stdout)
        self.assertIsNone(self.daemon.get(f"{M}/versions/2")["purged"])
        self.assertEqual(run("gc").returncode, 0)
        self.assertIsNotNone(self.daemon.get(f"{M}/versions/2")["purged"])
        self.assertEqual(run("retention", "remove", "model/colors").returncode, 0)
        self.assertEqual(run("retention", "show", "dataset/none").returncode, 4)

    def test_at_the_start(self):
        """The scheduler does it without being asked."""
        retrain(self.daemon, 2)
        retrain(self.daemon, 3)
        self.daemon.request("PUT", f"{M}/retention", {"keep_last": 1}, expect=200)
        self.daemon.stop(keep=True)
        self.running = False
        again = Daemon(state=self.daemon.state)
        self.addCleanup(shutil.rmtree, again.folder)
        until(lambda: again.get(f"{M}/versions/2")["purged"])
        line = again.get(f"{V1}/audit?what=version.purge")["audit"][0]
        self.assertEqual((line["who"], line["after"]), ("retention", {"purged": [2]}))
        again.stop(keep=True)
        fsck(self.daemon)


class Refusals(Case):
    def test_refusals(self):
        d = self.daemon
        d.post(f"{V1}/datasets", {"name": "colors"}, 201)
        for body, code in (({}, "field_missing"), ({"keep_last": 0}, "field_range"),
                           ({"keep_last": 1000001}, "field_range"), ({"keep_last": "2"}, "json_type"),
                           ({"keep_last": 2, "keep_promoted": True}, "field_unknown")):
            self.refused(d.request("PUT", f"{V1}/datasets/colors/retention", body), 400, code)
        d.request("PUT", f"{V1}/datasets/colors/retention", {"keep_last": 1000000}, expect=200)
        self.refused(d.request("GET", f"{V1}/models/none/retention"), 404, "model_unknown")
        self.refused(d.request("DELETE", f"{V1}/datasets/none/retention"), 404, "dataset_unknown")
        self.refused(d.request("PUT", f"{V1}/models/none/retention", {"keep_last": 1}), 404, "model_unknown")
        self.refused(d.post(f"{V1}/gc", {"dry": True}), 400, "field_unknown")


class FeatureCache(unittest.TestCase):
    def held(self, daemon):
        with os.scandir(os.path.join(daemon.state, "features")) as entries:
            return sum(entry.stat().st_size for entry in entries)

    def test_it_is_kept_and_counted(self):
        daemon = Daemon()
        self.addCleanup(daemon.stop)
        make_model(daemon)
        self.assertGreater(self.held(daemon), 0)
        self.assertEqual(read(daemon).get("kennel_feature_cache_bytes"), self.held(daemon))
        done = daemon.post(f"{V1}/gc", {}, 200).json
        self.assertEqual((done["feature_files"], done["feature_bytes"]), (0, 0))
        retrain(daemon, 2)
        self.assertEqual(daemon.get(f"{M}/versions/2")["report"]["forward_passes"], 0)

    def test_it_is_bounded(self):
        daemon = Daemon("--max-feature-bytes", "1K")
        self.addCleanup(daemon.stop)
        make_model(daemon)
        until(lambda: self.held(daemon) <= 1024)
        retrain(daemon, 2)
        self.assertGreater(daemon.get(f"{M}/versions/2")["report"]["forward_passes"], 0)
        until(lambda: self.held(daemon) <= 1024)
        # Told apart from what retention gives up.
        with open(os.path.join(daemon.state, "features", "old"), "wb") as file:
            file.write(bytes(5000))
        was = self.held(daemon)
        would = daemon.post(f"{V1}/gc", {"dry_run": True}, 200).json
        self.assertEqual((self.held(daemon), would["blobs"]), (was, 0))
        done = daemon.post(f"{V1}/gc", {}, 200).json
        self.assertEqual((done["feature_files"], done["feature_bytes"]),
                         (would["feature_files"], would["feature_bytes"]))
        self.assertEqual(was - done["feature_bytes"], self.held(daemon))
        self.assertLessEqual(self.held(daemon), 1024)


if __name__ == "__main__":
    unittest.main()
