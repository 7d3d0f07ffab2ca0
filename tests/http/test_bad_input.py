"""Every kind of bad input has its own code and status; afterwards the daemon is healthy and nothing was stored."""
import base64
import io
import os
import struct
import tarfile
import unittest
import zipfile
import zlib

from kennel_test import (V1, Case, Daemon, color_files, make_model, png, png_file, tar, tiny_backbone)

PICTURE = png(40, 36, (200, 60, 50))


def strange_tar(**fields):
    """A tar of one good picture and one member with these fields."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        good = tarfile.TarInfo("red/good.png")
        good.size = len(PICTURE)
        archive.addfile(good, io.BytesIO(PICTURE))
        bad = tarfile.TarInfo(fields.pop("name"))
        data = fields.pop("data", None)
        for name, value in fields.items():
            setattr(bad, name, value)
        if data is not None:
            bad.size = len(data)
        archive.addfile(bad, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def zip_of(files, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


class BadInput(Case):
    options = ("--max-pixels", "100000", "--max-entries", "50", "--max-picture-bytes", "2M",
               "--max-backbone-bytes", "100000", "--max-unpacked", "200M")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, "colors")
        cls.daemon.post(f"{V1}/datasets", {"name": "victim"}, 201)
        # What there is without any version, and a model that was never trained.
        make_model(cls.daemon, "untrained", train=False)
        cls.stored = cls.everything()

    @classmethod
    def everything(cls):
        """All that a refusal must leave as it was."""
        get = cls.daemon.get
        return [get(f"{V1}/{noun}") for noun in ("datasets", "backbones", "models", "jobs")] + [
            get(f"{V1}/datasets/{d}/versions") for d in ("colors", "victim")] + [
            get(f"{V1}/models/colors/promotions"), cls.files()]

    @classmethod
    def files(cls):
        """Blobs, and what is on its way to be one."""
        return sorted(os.path.join(folder, name) for noun in ("blobs", "staging")
                      for folder, _, names in os.walk(os.path.join(cls.daemon.state, noun)) for name in names)

    def tearDown(self):
        self.assertTrue(self.daemon.healthy())
        self.assertEqual(self.everything(), self.stored, "something was stored")

    def json_routes(self):
        return [f"{V1}/datasets", f"{V1}/models", f"{V1}/models/colors/retrain", f"{V1}/models/colors/promote",
                f"{V1}/models/colors/rollback", "/score"]

    # -- JSON

    def test_not_json(self):
        for path in self.json_routes():
            for body in ("{", "nonsense", '{"name": }', '{"a": 1} x', '{"a": "\x01"}', '{"a": 1, "a": 2}', "\xff"):
                self.refused(self.daemon.post(path, body.encode("latin-1")), 400, "json_syntax")

    def test_no_body(self):
        for path in (f"{V1}/datasets", f"{V1}/models", f"{V1}/models/colors/promote", "/score",
                     f"{V1}/models/colors/score", f"{V1}/datasets/victim/import", f"{V1}/backbones?name=x"):
            self.refused(self.daemon.post(path), 400, "body_missing")
        self.refused(self.daemon.request("PUT", f"{V1}/datasets/victim/images?label=red"), 400, "body_missing")

    def test_not_an_object(self):
        for path in self.json_routes():
            for body in ("[]", "1", "null", '"text"'):
                self.refused(self.daemon.post(path, body), 400, "json_type")

    def test_wrong_types(self):
        for path, body in ((f"{V1}/datasets", {"name": 1}), (f"{V1}/models", {"name": "x", "dataset": [], "backbone": "b"}),
                           (f"{V1}/models/colors/retrain", {"seed": "1"}), (f"{V1}/models/colors/retrain", {"seed": 1.5}),
                           (f"{V1}/models/colors/retrain", {"tags": {"a": 1}}),
                           (f"{V1}/models/colors/retrain", {"recipe": []}),
                           (f"{V1}/models/colors/promote", {"version": "1"}),
                           (f"{V1}/models/colors/promote", {"version": 1, "force": "yes"}), ("/score", {"data": 5})):
            self.refused(self.daemon.post(path, body), 400, "json_type")

    def test_unknown_fields(self):
        for path, body in ((f"{V1}/datasets", {"name": "x", "nam": 1}), (f"{V1}/models/colors/retrain", {"sed": 1}),
                           (f"{V1}/models/colors/retrain", {"recipe": {"epochs": 3}}), ("/score", {"data": "", "x": 1}),
                           (f"{V1}/models", {"name": "x", "dataset": "colors", "backbone": "tiny", "gate": {"x": 1}})):
            self.refused(self.daemon.post(path, body), 400, "field_unknown")
        self.refused(self.daemon.request("PATCH", f"{V1}/models/colors", '{"production": 7}'), 400, "field_unknown")

    def test_missing_fields(self):
        for path, body in ((f"{V1}/datasets", {}), (f"{V1}/models", {"name": "x"}), ("/score", {}),
                           (f"{V1}/models/colors/promote", {}),
                           (f"{V1}/models/colors/promote", {"version": 1, "force": True})):
            self.refused(self.daemon.post(path, body), 400, "field_missing")
        self.refused(self.daemon.post(f"{V1}/backbones", b"x"), 400, "field_missing")
        self.refused(self.daemon.request("PUT", f"{V1}/datasets/victim/images", PICTURE), 400, "field_missing")

    def test_out_of_range(self):
        for path, body in ((f"{V1}/models/colors/promote", {"version": 0}),
                           (f"{V1}/models/colors/retrain", {"dataset_version": -1}),
                           (f"{V1}/models", {"name": "x", "dataset": "colors", "backbone": "tiny",
                                             "gate": {"margin": 2}})):
            self.refused(self.daemon.post(path, body), 400, "field_range")
        self.refused(self.daemon.request("PUT", f"{V1}/datasets/victim/images?label=red&split=x", PICTURE), 400,
                     "field_range")

    def test_deep_nesting(self):
        for path in self.json_routes():
            self.refused(self.daemon.post(path, '{"a":' * 33 + "1" + "}" * 33), 400, "json_depth")
            self.refused(self.daemon.post(path, "[" * 100000), 400, "json_depth")

    def test_over_long_body(self):
        for path in self.json_routes()[:-1]:
            self.refused(self.daemon.post(path, b" " * ((1 << 20) + 1)), 413, "body_too_large")
        self.refused(self.daemon.post("/score", b" " * 3000000), 413, "body_too_large")

    def test_bad_names(self):
        for name in ("", "a b", "../x", ".hidden", "x" * 65, "é", "a/b"):
            self.refused(self.daemon.post(f"{V1}/datasets", {"name": name}), 400, "name_syntax")
            self.refused(self.daemon.post(f"{V1}/models", {"name": name, "dataset": "colors", "backbone": "tiny"}), 400,
                         "name_syntax")
        self.refused(self.daemon.post(f"{V1}/backbones?name=a%2Fb", tiny_backbone()), 400, "name_syntax")

    # -- pictures

    def test_not_base64(self):
        for data in ("!!!!", "aGVsbG8", "aGVs*G8=", "=", "aGVsbG8=x"):
            for path in ("/score", f"{V1}/service/colors/score", f"{V1}/models/colors/score"):
                self.refused(self.daemon.post(path, {"data": data}), 400, "base64_syntax")

    def test_no_picture_in_score(self):
        path = f"{V1}/models/colors/score"
        jpeg = {"Content-Type": "image/jpeg"}
        for body, code in ((b"hello", "picture_format"), (b"GIF89a" + b"\0" * 50, "picture_format"),
                           (PICTURE[:60], "picture_truncated"), (b"\xff\xd8\xff", "picture_truncated")):
            reply = self.daemon.post(path, body, headers=jpeg)
            self.assertEqual(reply.status, 422, reply)
            self.assertIn(reply.code, (code, "picture_corrupt", "picture_format"), body)
            reply = self.daemon.post("/score", {"data": base64.b64encode(body).decode()})
            self.assertEqual(reply.status, 422, reply)
        self.refused(self.daemon.post(path, b"hello", headers=jpeg), 422, "picture_format")

    def test_too_many_pixels(self):
        big = png_file(400, 251, 8, 0, b"\0" * (401 * 251))
        path = f"{V1}/datasets/victim/images?label=red"
        self.refused(self.daemon.request("PUT", path, big), 422, "picture_pixels")
        self.refused(self.daemon.post(f"{V1}/models/colors/score", big), 422, "picture_pixels")

    def test_bomb_like_picture(self):
        """A small file that claims 30,000 x 30,000 pixels is refused by its header."""
        bomb = png_file(30000, 30000, 8, 2, b"\0" * 1000)
        self.refused(self.daemon.post(f"{V1}/models/colors/score", bomb), 422, "picture_pixels")

    def test_bomb_like_metadata(self):
        """A text of 64 MB in a chunk of 64 KB, between the header and the pixels."""
        data = b"zTXt" + b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9)
        chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
        bomb = PICTURE[:33] + chunk + PICTURE[33:]
        self.refused(self.daemon.post(f"{V1}/models/colors/score", bomb), 422, "picture_bomb")
        self.refused(self.daemon.request("PUT", f"{V1}/datasets/victim/images?label=red", bomb), 422, "picture_bomb")

    def test_picture_over_the_byte_limit(self):
        path = f"{V1}/models/colors/score"
        reply = self.daemon.post(path, PICTURE + b"\0" * (2 << 20))
        self.refused(reply, 413, "picture_bytes")

    def test_same_picture_under_another_label(self):
        picture = color_files(1)["red/0.png"]
        path = f"{V1}/datasets/colors/images?label=green"
        self.refused(self.daemon.request("PUT", path, picture), 409, "picture_label_conflict")

    def test_bad_labels(self):
        for label in ("", "a%2Fb", "x" * 201, "%01"):
            reply = self.daemon.request("PUT", f"{V1}/datasets/victim/images?label={label}", PICTURE)
            self.refused(reply, 422, "layout")

    # -- archives

    def import_refused(self, archive, code):
        return self.refused(self.daemon.post(f"{V1}/datasets/victim/import", archive), 422, code)

    def test_paths_out_of_the_archive(self):
        for name in ("../evil.png", "red/../../evil.png", "/etc/evil.png"):
            self.import_refused(strange_tar(name=name, data=PICTURE), "archive_path")
            self.import_refused(zip_of({"red/good.png": PICTURE, name: PICTURE}), "archive_path")

    def test_links_and_devices(self):
        for kind, code in ((tarfile.SYMTYPE, "archive_link"), (tarfile.LNKTYPE, "archive_link"),
                           (tarfile.CHRTYPE, "archive_device"), (tarfile.BLKTYPE, "archive_device"),
                           (tarfile.FIFOTYPE, "archive_device")):
            self.import_refused(strange_tar(name="red/x.png", type=kind, linkname="red/good.png"), code)

    def test_too_many_entries(self):
        self.import_refused(tar({f"red/{i}.png": b"x" for i in range(51)}), "archive_entries")

    def test_truncated_archives(self):
        archive = tar(color_files(4))
        self.import_refused(archive[:len(archive) // 2], "archive_truncated")
        packed = tar(color_files(4), "w:gz")
        self.import_refused(packed[:len(packed) // 2], "archive_truncated")

    def test_corrupt_archive(self):
        archive = bytearray(tar({"red/a.png": PICTURE, "red/b.png": PICTURE}))
        second = 512 + (len(PICTURE) + 511) // 512 * 512
        archive[second:second + 512] = b"\xaa" * 512
        self.import_refused(bytes(archive), "archive_corrupt")

    def test_no_archive(self):
        for body in (b"hello", b"hello" * 2000, PICTURE):
            reply = self.daemon.post(f"{V1}/datasets/victim/import", body)
            self.assertEqual(reply.status, 422, reply)
            self.assertIn(reply.code, ("archive_format", "archive_truncated"))

    def test_zip_bomb(self):
        self.import_refused(zip_of({f"red/{i}.png": b"\0" * 1900000 for i in range(49)}), "archive_bomb")

    # -- what is not there, or there already

    def test_unknown(self):
        get = lambda path: self.daemon.request("GET", V1 + path)
        self.refused(get("/datasets/none"), 404, "dataset_unknown")
        self.refused(get("/datasets/none/versions"), 404, "dataset_unknown")
        self.refused(get("/datasets/colors/versions/9"), 404, "version_unknown")
        self.refused(get("/datasets/colors/versions/x"), 404, "version_unknown")
        self.refused(get("/backbones/none"), 404, "backbone_unknown")
        self.refused(get("/models/none"), 404, "model_unknown")
        self.refused(get("/models/none/versions"), 404, "model_unknown")
        self.refused(get("/models/none/promotions"), 404, "model_unknown")
        self.refused(get("/models/colors/versions/9"), 404, "version_unknown")
        self.refused(get("/models/colors/versions/9/model.onnx"), 404, "version_unknown")
        self.refused(get("/jobs/none"), 404, "job_unknown")
        self.refused(get("/jobs/" + "x" * 500), 404, "job_unknown")
        post = lambda path, body=None: self.daemon.post(V1 + path, body)
        self.refused(post("/jobs/none/cancel"), 404, "job_unknown")
        self.refused(post("/datasets/none/import", tar({"a/b.png": PICTURE})), 404, "dataset_unknown")
        self.refused(post("/models/none/retrain"), 404, "model_unknown")
        self.refused(post("/models/none/promote", {"version": 1}), 404, "model_unknown")
        self.refused(post("/models/none/rollback"), 404, "model_unknown")
        self.refused(post("/models/none/score", PICTURE), 404, "model_unknown")
        self.refused(post("/service/none/score", {"data": base64.b64encode(PICTURE).decode()}), 404, "model_unknown")
        self.refused(post("/models/colors/versions/9/score", PICTURE), 404, "version_unknown")
        self.refused(post("/models/colors/promote", {"version": 9}), 404, "version_unknown")
        self.refused(post("/models/colors/retrain", {"dataset_version": 9}), 404, "version_unknown")
        self.refused(post("/models", {"name": "x", "dataset": "none", "backbone": "tiny"}), 404, "dataset_unknown")
        self.refused(post("/models", {"name": "x", "dataset": "colors", "backbone": "none"}), 404, "backbone_unknown")
        self.refused(self.daemon.request("PUT", f"{V1}/datasets/none/images?label=red", PICTURE), 404, "dataset_unknown")
        for digest in ("0" * 64, "x", "A" * 64):
            reply = self.daemon.request("DELETE", f"{V1}/datasets/colors/images/{digest}")
            self.refused(reply, 404, "picture_unknown")

    def test_taken_names(self):
        self.refused(self.daemon.post(f"{V1}/datasets", {"name": "colors"}), 409, "name_taken")
        self.refused(self.daemon.post(f"{V1}/backbones?name=tiny", tiny_backbone()), 409, "name_taken")
        body = {"name": "colors", "dataset": "colors", "backbone": "tiny"}
        self.refused(self.daemon.post(f"{V1}/models", body), 409, "name_taken")

    def test_rollback_without_history(self):
        self.refused(self.daemon.post(f"{V1}/models/colors/rollback"), 409, "rollback_empty")

    def test_score_before_anything_is_promoted(self):
        reply = self.refused(self.daemon.post(f"{V1}/models/untrained/score", PICTURE), 503, "not_promoted")
        self.assertTrue(reply.header("Retry-After"))

    def test_cancel_of_an_ended_job(self):
        job = self.daemon.get(f"{V1}/jobs")["jobs"][0]["id"]
        self.refused(self.daemon.post(f"{V1}/jobs/{job}/cancel"), 409, "job_state")

    def test_bad_recipes(self):
        for recipe, code in (({"mode": "magic"}, "recipe"), ({"folds": 100}, "field_range")):
            reply = self.daemon.post(f"{V1}/models/colors/retrain", {"recipe": recipe})
            self.assertIn(reply.status, (400, 422), reply)
            self.assertIn(reply.code, (code, "recipe", "field_range"))

    # -- backbones

    def test_bad_backbones(self):
        whole = tiny_backbone()
        for body, code in ((b"hello", "onnx_syntax"), (b"\x08", "onnx_syntax"), (whole[:len(whole) // 2], "onnx_syntax"),
                           (whole.replace(b"Relu", b"Relx"), "onnx_operator"),
                           # An input of 5 channels; a tensor that no node makes.
                           (whole.replace(b"\x0a\x02\x08\x03", b"\x0a\x02\x08\x05", 1), "onnx_input"),
                           (whole.replace(b"\x0a\x02r1", b"\x0a\x02rx", 1), "onnx_graph")):
            reply = self.daemon.post(f"{V1}/backbones?name=bad", body)
            self.refused(reply, 422, code)
            if code == "onnx_operator":
                self.assertIn("Relx", reply.json["detail"])
        self.refused(self.daemon.post(f"{V1}/backbones?name=bad&feature=nowhere", whole), 422, "onnx_feature")
        self.refused(self.daemon.post(f"{V1}/backbones?name=bad&mean=x", whole), 422, "onnx_preprocess")
        self.refused(self.daemon.post(f"{V1}/backbones?name=bad", b"x" * 100001), 413, "body_too_large")

    # -- imports by path

    def test_imports_by_path_are_off(self):
        reply = self.daemon.post(f"{V1}/datasets/victim/import", {"path": "/etc"}, headers={"Content-Type": "application/json"})
        self.refused(reply, 403, "path_forbidden")


class Retrain(Case):
    """Datasets from which nothing can be learnt."""

    def model(self, name, files):
        if self.daemon.request("GET", f"{V1}/backbones/tiny").status == 404:
            self.daemon.post(f"{V1}/backbones?name=tiny", tiny_backbone(), 201)
        self.daemon.post(f"{V1}/datasets", {"name": name}, 201)
        if files:
            self.daemon.post(f"{V1}/datasets/{name}/import", tar(files), 200)
        self.daemon.post(f"{V1}/models", {"name": name, "dataset": name, "backbone": "tiny"}, 201)
        return self.daemon.post(f"{V1}/models/{name}/retrain", {})

    def check(self, name, files, code):
        reply = self.refused(self.model(name, files), 422, code)
        self.assertEqual(self.daemon.get(f"{V1}/jobs?model={name}")["jobs"], [])
        self.assertTrue(self.daemon.healthy())
        return reply

    def test_empty(self):
        self.check("empty", None, "dataset_empty")

    def test_one_class(self):
        files = {f"train/{k}": v for k, v in color_files(5, {"red": (200, 50, 50)}).items()}
        self.check("one", files | {"val/red/x.png": png(40, 36, (199, 50, 50), 99)}, "dataset_one_class")

    def test_a_class_of_one_picture(self):
        files = {f"train/{k}": v for k, v in color_files(5, {"red": (200, 50, 50)}).items()}
        files |= {"train/lonely/x.png": png(40, 36, (50, 50, 200), 98), "val/red/y.png": png(40, 36, (199, 50, 50), 99)}
        reply = self.check("lonely", files, "class_too_small")
        self.assertIn("lonely", reply.json["detail"])

    def test_no_holdout(self):
        self.check("blind", {f"train/{k}": v for k, v in color_files(5).items()}, "holdout_empty")


class ImportPath(unittest.TestCase):
    def test_only_below_the_root(self):
        import tempfile
        with tempfile.TemporaryDirectory() as outside:
            root = os.path.join(outside, "root")
            os.makedirs(os.path.join(root, "set", "red"))
            os.makedirs(os.path.join(outside, "root-2", "red"))
            for folder in ("root/set/red", "root-2/red"):
                with open(os.path.join(outside, folder, "a.png"), "wb") as file:
                    file.write(PICTURE)
            with open(os.path.join(root, "a.tar"), "wb") as file:
                file.write(tar({"blue/b.png": png(40, 36, (50, 60, 200))}))
            os.symlink("../root-2", os.path.join(root, "link"))
            os.symlink("/etc/passwd", os.path.join(root, "file"))
            os.mkfifo(os.path.join(root, "pipe"))
            daemon = Daemon("--import-root", root)
            try:
                daemon.post(f"{V1}/datasets", {"name": "d"}, 201)
                kind = {"Content-Type": "application/json"}
                send = lambda path: daemon.post(f"{V1}/datasets/d/import", {"path": path}, headers=kind)
                for path in ("..", "../root-2", os.path.join(outside, "root-2"), "link", "file", "pipe", "/etc", "none",
                             "set/../../root-2", outside):
                    reply = send(path)
                    self.assertEqual((reply.status, reply.code), (403, "path_forbidden"), (path, reply))
                self.assertEqual(daemon.get(f"{V1}/datasets/d")["version"], None)
                self.assertEqual(send("set").json["added"], 1)
                self.assertEqual(send(os.path.join(root, "a.tar")).json["added"], 1)
            finally:
                daemon.stop()


if __name__ == "__main__":
    unittest.main()
