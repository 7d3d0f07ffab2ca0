"""Makes backbones.txt: what ONNX Runtime makes of real pictures with each backbone.

    backbones.py SHARED NODE_MODULES > backbones.txt

SHARED holds backbones/*.onnx and datasets/{hymenoptera,stanford-dogs-10}.tar; NODE_MODULES has
onnxruntime-node (1.30). Pictures are prepared by Pillow 9.4.0 as test_pillow.c knows it: shorter
side to 256/224 of the input, bilinear, centre crop, (x - mean) / std. A line is
    backbone FILE FEATURE_TENSOR WIDTH
    picture ARCHIVE MEMBER LARGEST NORM VALUE... [top CLASS CLASS CLASS CLASS CLASS]
with every STEP-th value of the pooled features, and the five most probable classes.
"""
import io
import math
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import numpy
import onnx
from PIL import Image, ImageOps

STEP = 8
shared, modules = pathlib.Path(sys.argv[1]), sys.argv[2]
here = pathlib.Path(__file__).parent


def pictures():
    for archive in ("hymenoptera.tar", "stanford-dogs-10.tar"):
        with tarfile.open(shared / "datasets" / archive) as tar:
            names = sorted(n for n in tar.getnames() if n.startswith("val/") and n.endswith(".jpg"))
            for name in names[10::len(names) // 4][:4]:
                yield archive, name, tar.extractfile(name).read()


def prepare(data, size, mean, std):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    resize = size * 256 // 224
    w, h = image.size
    w, h = (resize, int(resize * h / w)) if w <= h else (int(resize * w / h), resize)
    image = image.resize((w, h), Image.BILINEAR)
    left, top = int(round((w - size) / 2.0)), int(round((h - size) / 2.0))
    pixels = numpy.asarray(image.crop((left, top, left + size, top + size)), numpy.float32)
    return ((pixels - mean) / std).transpose(2, 0, 1).astype(numpy.float32)


def run(model, size, tensors, output):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if output not in [o.name for o in model.graph.output]:
            model.graph.output.append(onnx.ValueInfoProto(name=output))
        onnx.save(model, folder / "model.onnx")
        (folder / "in.f32").write_bytes(numpy.stack(tensors).tobytes())
        subprocess.run(["node", here / "backbones.js", modules, folder / "model.onnx", str(size),
                        folder / "in.f32", output, folder / "out.f32"], check=True)
        return numpy.fromfile(folder / "out.f32", numpy.float32).reshape(len(tensors), -1)


chosen = list(pictures())
for file in sorted((shared / "backbones").glob("*.onnx")):
    model = onnx.load(file)
    meta = {p.key: p.value for p in model.metadata_props}
    mean = numpy.array(meta["mean"].split(","), numpy.float32)
    std = numpy.array(meta["std"].split(","), numpy.float32)
    size, feature, head = int(meta["input_size"]), meta["feature_tensor"], meta["output_tensor"]
    tensors = [prepare(data, size, mean, std) for _, _, data in chosen]
    logits = run(model, size, tensors, head)
    features = run(model, size, tensors, feature)
    width = {"fire9": 512}.get(feature, features.shape[1])
    features = features.reshape(len(tensors), width, -1).mean(2)
    print("backbone", file.name, feature, width)
    for (archive, name, _), f, l in zip(chosen, features, logits):
        top = ["top", *map(str, numpy.argsort(-l)[:5])] if head != feature else []
        norm = math.sqrt(float((f.astype(numpy.float64) ** 2).sum()))
        print("picture", archive, name, "%.7g" % abs(f).max(), "%.7g" % norm,
              *("%.6g" % v for v in f[::STEP]), *top)
