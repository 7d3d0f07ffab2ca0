"""Makes artifact.json: what ONNX Runtime makes of a trained model's own ONNX file.

    KENNELD=... KENNEL_SOURCE=... artifact.py NODE_MODULES > artifact.json

NODE_MODULES has onnxruntime-node (1.30). A spawned kenneld trains the tiny network on pictures of
three colours (tests/http/test_artifact.py says how); onnx.checker passes the downloaded model.onnx,
and ONNX Runtime runs it on pictures prepared by Pillow 9.4.0 from the file's own metadata, as
backbones.py does it. A further argument, a folder like ../../shared, compares the 20 first
pictures of a real model as well and fails above 1e-4.
"""
import io
import json
import pathlib
import sys
import tarfile
import tempfile

import numpy
import onnx

here = pathlib.Path(__file__).parent
modules, shared = sys.argv[1], pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
sys.path.insert(0, str(here.parent / "http"))
import kennel_test  # noqa: E402
import test_artifact  # noqa: E402


def peer(data, pictures):
    """[{label: probability}] of ONNX Runtime."""
    from subprocess import run
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    meta = {p.key: p.value for p in model.metadata_props}
    mean, std = (numpy.array(meta[k].split(","), numpy.float32) for k in ("mean", "std"))
    tensors = [prepare(p, int(meta["input_size"]), int(meta["resize"]), mean, std) for p in pictures]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "model.onnx").write_bytes(data)
        (folder / "in.f32").write_bytes(numpy.stack(tensors).tobytes())
        run(["node", here / "backbones.js", modules, folder / "model.onnx", meta["input_size"], folder / "in.f32",
             model.graph.output[0].name, folder / "out.f32"], check=True)
        out = numpy.fromfile(folder / "out.f32", numpy.float32).reshape(len(pictures), -1)
    labels = json.loads(meta["kennel.labels"])
    return [dict(zip(labels, (float(x) for x in row))) for row in out]


def prepare(data, size, resize, mean, std):
    from PIL import Image, ImageOps
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    w, h = image.size
    w, h = (resize, int(resize * h / w)) if w <= h else (int(resize * w / h), resize)
    image = image.resize((w, h), Image.BILINEAR)
    left, top = int(round((w - size) / 2.0)), int(round((h - size) / 2.0))
    pixels = numpy.asarray(image.crop((left, top, left + size, top + size)), numpy.float32)
    return ((pixels - mean) / std).transpose(2, 0, 1).astype(numpy.float32)


def worst(daemon, model, data, pictures, expected):
    return max(abs(mine[label] - theirs[label]) for picture, theirs in zip(pictures, expected)
               for mine in [test_artifact.scores(daemon, model, picture)] for label in theirs)


def check(daemon, model, pictures):
    data = daemon.request("GET", f"{kennel_test.V1}/models/{model}/versions/1/model.onnx", expect=200).body
    expected = peer(data, pictures)
    difference = worst(daemon, model, data, pictures, expected)
    print(f"{model}: {len(pictures)} pictures, largest difference {difference:.2e}", file=sys.stderr)
    assert difference < 1e-4
    return expected


def real(daemon):
    v1, archive = kennel_test.V1, shared / "datasets/stanford-dogs-10.tar"
    daemon.post(f"{v1}/backbones?name=real", (shared / "backbones/mobilenet_v2_1.0_224.onnx").read_bytes(), 201)
    daemon.post(f"{v1}/datasets", {"name": "real"}, 201)
    daemon.post(f"{v1}/datasets/real/import", archive.read_bytes(), 200)
    daemon.post(f"{v1}/models", {"name": "real", "dataset": "real", "backbone": "real", "strip_label_prefix": False},
                201)
    daemon.wait_job(daemon.post(f"{v1}/models/real/retrain", {"seed": 1}, 202).json["id"])
    with tarfile.open(archive) as tar:
        names = sorted(n for n in tar.getnames() if n.startswith("val/") and n.endswith(".jpg"))
        check(daemon, "real", [tar.extractfile(n).read() for n in names[::len(names) // 20][:20]])


daemon = kennel_test.Daemon()
test_artifact.train(daemon)
expected = check(daemon, "artifact", test_artifact.PICTURES)
if shared:
    real(daemon)
daemon.stop()
json.dump(expected, sys.stdout, indent=1)
print()
