"""From labelled pictures to a served model, beside the workshop's PyTorch recipe, in wall seconds.

Each round: a fresh daemon; import, first retrain, promote and first answer; an unchanged retrain; a
retrain after adding 1 % pictures that it had not seen. The peer (seed_recipe.py of the shared folder) is
run once, before or after is the same: it takes minutes. Needs python3-torch and python3-torchvision for it.
"""
import argparse
import base64
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "http"))
os.environ.setdefault("KENNELD", str(ROOT / "build/release/daemon/kenneld"))
from kennel_test import V1, Daemon  # noqa: E402
from machine import CORES, instruction_sets  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--shared", default=os.environ.get("KENNEL_SHARED", ROOT.parent / "shared"))
parser.add_argument("--data", default="stanford-dogs-10")
parser.add_argument("--backbone", default="mobilenet_v2_1.0_224")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--epochs", type=int, default=10, help="of the peer; 0 leaves it out")
args = parser.parse_args()
shared = pathlib.Path(args.shared)
archive = shared / "datasets" / (args.data + ".tar")
backbone = shared / "backbones" / (args.backbone + ".onnx")


def split_archive(one_percent):
    """The archive without the last 1 % of each train folder, and those pictures by themselves."""
    first, rest = io.BytesIO(), io.BytesIO()
    with tarfile.open(archive) as source, tarfile.open(fileobj=first, mode="w") as a, \
            tarfile.open(fileobj=rest, mode="w") as b:
        files = [m for m in source if m.isfile()]
        train = [m for m in files if m.name.startswith("train/")]
        held = {m.name for m in train[::max(1, len(train) // one_percent)][:one_percent]}
        for m in files:
            (b if m.name in held else a).addfile(m, source.extractfile(m))
    return first.getvalue(), rest.getvalue(), len(files), len(held)


def timed(f):
    start = time.monotonic()
    result = f()
    return time.monotonic() - start, result


def retrain(d):
    job = d.wait_job(d.post(f"{V1}/models/m/retrain", {"seed": 1}, 202).json["id"])
    if job["state"] not in ("succeeded", "rejected"):
        sys.exit(f"job {job['state']}: {job['error']}")
    return job


def measure(d):
    row = {}
    d.post(f"{V1}/backbones?name=b", backbone.read_bytes(), 201)
    d.post(f"{V1}/datasets", {"name": "d"}, 201)
    d.post(f"{V1}/models", {"name": "m", "dataset": "d", "backbone": "b"}, 201)

    def add(body):
        return d.post(f"{V1}/datasets/d/import", body, 200)

    def serve():
        d.post(f"{V1}/models/m/promote", {"version": 1}, 200)
        return d.post("/score", {"data": base64.b64encode(sample).decode()}, 200)

    row["import"], _ = timed(lambda: add(base_tar))
    row["first retrain"], first = timed(lambda: retrain(d))
    row["promote and score"], _ = timed(serve)
    row["unchanged retrain"], unchanged = timed(lambda: retrain(d))
    row["+1 % import"], _ = timed(lambda: add(more_tar))
    row["+1 % retrain"], more = timed(lambda: retrain(d))
    row["import to served"] = row["import"] + row["first retrain"] + row["promote and score"]
    row["accuracy"] = d.get(f"{V1}/models/m/versions/1")["metrics"]["accuracy"]
    row["forward passes"] = [job["forward_passes"] for job in (first, unchanged, more)]
    return row


def round_of():
    d = Daemon()
    try:
        return measure(d)
    finally:
        d.stop()


base_tar, more_tar, pictures, added = split_archive(
    max(1, round(0.01 * sum(1 for m in tarfile.open(archive) if m.isfile()))))
with tarfile.open(fileobj=io.BytesIO(base_tar)) as t:
    sample = t.extractfile(next(m for m in t if m.name.startswith("val/"))).read()

rounds = [round_of() for _ in range(args.rounds)]
rows = [(name, statistics.median(r[name] for r in rounds), min(r[name] for r in rounds), max(r[name] for r in rounds))
        for name in ("import", "first retrain", "promote and score", "import to served", "unchanged retrain",
                     "+1 % import", "+1 % retrain")]
peer = None
if args.epochs and subprocess.run(["/usr/bin/python3", "-c", "import torch, torchvision, onnx"],
                                  stderr=subprocess.DEVNULL).returncode == 0:
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as t:
            t.extractall(folder)
        peer = json.loads(subprocess.run(["/usr/bin/python3", shared / "peers/seed_recipe.py", folder, backbone,
                                          "--epochs", str(args.epochs)], check=True, capture_output=True,
                                         cwd=shared / "peers").stdout)

print(f"{args.data}, {args.backbone}, {pictures} pictures ({added} of them added later), {args.rounds} rounds")
print(f"{CORES} cores, {instruction_sets()}\n")
print(f"{'':20} {'median s':>9} {'min':>7} {'max':>7} {'pictures/s':>11} {'peer/ours':>10}")
count = {"import": pictures - added, "first retrain": pictures - added, "import to served": pictures - added,
         "unchanged retrain": pictures - added, "+1 % import": added, "+1 % retrain": pictures}
for name, median, low, high in rows:
    ratio = peer["seconds"] / median if peer and name == "import to served" else None
    rate = count[name] / median if name in count else None
    print(f"{name:20} {median:9.2f} {low:7.2f} {high:7.2f} {rate and format(rate, '11.0f') or '':>11} "
          f"{ratio and format(ratio, '9.1f') + 'x' or '':>10}")
print(f"accuracy {rounds[0]['accuracy']:.4f}; forward passes first, unchanged, +1 %: {rounds[0]['forward passes']}")
if peer:
    print(f"peer: PyTorch {peer['torch']}, {peer['epochs']} epochs, {peer['seconds']} s, "
          f"{peer['images_per_s']} pictures/s, best accuracy {peer['best_val_accuracy']}")
for name, median, low, high in rows:
    print(json.dumps({"bench": "retrain", "row": name, "median_s": round(median, 3), "min_s": round(low, 3),
                      "max_s": round(high, 3), "data": args.data, "backbone": args.backbone,
                      "isa": instruction_sets()}))
if peer:
    print(json.dumps({"bench": "retrain", "row": "peer", **peer}))
