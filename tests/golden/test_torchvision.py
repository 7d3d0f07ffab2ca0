"""Our numbers against ONNX Runtime's on the networks of torchvision_models.py, at batch 1 and 3.

    test_torchvision.py [NAME...]

KENNEL_NETWORK_RUN is the program network_run. KENNEL_ORT is a node_modules folder with onnxruntime-node
(1.30). KENNEL_TORCHVISION, when it is set, is a folder where models are kept between runs; KENNEL_RUNS
is how often each is timed. Exits 77 without python3-torchvision or ONNX Runtime. What is measured is
max |ours - theirs| / max |theirs| over a batch's outputs.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SKIPPED, TOLERANCE = 77, 1e-3
here = pathlib.Path(__file__).parent
modules = os.environ.get("KENNEL_ORT", "")
runs = os.environ.get("KENNEL_RUNS", "1")


def skip(why):
    print("skipped:", why)
    sys.exit(SKIPPED)


if not pathlib.Path(modules, "onnxruntime-node").is_dir() or not shutil.which("node"):
    skip("no onnxruntime-node in KENNEL_ORT, or no node")
try:
    import numpy
    import torch
    import torchvision_models
except ImportError as missing:
    skip(missing)


def run(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-400:] or "status %d" % done.returncode)
    return done.stdout.split()


def compare(model, batch, height, width, folder):
    """Worst relative error, how far the classes spread, nodes, our and their milliseconds."""
    inputs, ours, theirs = folder / "in.f32", folder / "ours.f32", folder / "theirs.f32"
    numbers = numpy.random.default_rng(batch)
    numbers.standard_normal((batch, 3, height, width), numpy.float32).tofile(inputs)
    nodes, our_ms = run([os.environ["KENNEL_NETWORK_RUN"], model, batch, inputs, ours, runs])
    their_ms, = run(["node", here / "torchvision.js", modules, model, batch, height, width, inputs,
                     theirs, runs])
    a = numpy.fromfile(ours, numpy.float32).reshape(batch, -1)
    b = numpy.fromfile(theirs, numpy.float32).reshape(batch, -1)
    if not numpy.isfinite(b).all() or b.std(axis=1).min() < 1e-2 * abs(b).max():
        raise RuntimeError("the outputs do not spread: not a test")
    if batch > 1 and abs(b[0] - b[1]).max() < 1e-2 * abs(b).max():
        raise RuntimeError("two pictures give the same outputs: not a test")
    return abs(a - b).max() / abs(b).max(), nodes, float(our_ms), float(their_ms)


def check(entry, models, folder):
    name, _, opset, height, width = entry
    model = models / (name + ".onnx")
    if not model.exists():
        torchvision_models.export(entry, models)
    one = compare(model, 1, height, width, folder)
    three = compare(model, 3, height, width, folder)
    worst = max(one[0], three[0])
    print("| %-20s | %2d | %4s | %.1e | %7.2f | %7.2f | %7.2f | %7.2f |" %
          (name, opset, one[1], worst, one[2], one[3], three[2], three[3]), flush=True)
    if not worst <= TOLERANCE:
        raise RuntimeError("relative error %g at batch %d" % (worst, 1 if one[0] == worst else 3))


def main():
    torch.set_num_threads(1)
    failed = 0
    print("| network | opset | nodes | worst relative error | ms, batch 1 | ONNX Runtime "
          "| ms a picture, batch 3 | ONNX Runtime |\n|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        kept = os.environ.get("KENNEL_TORCHVISION")
        for entry in torchvision_models.NETWORKS:
            if sys.argv[1:] and entry[0] not in sys.argv[1:]:
                continue
            try:
                check(entry, pathlib.Path(kept) if kept else folder, folder)
            except RuntimeError as e:
                print("FAILED %s: %s" % (entry[0], e), flush=True)
                failed += 1
            if not kept:
                (folder / (entry[0] + ".onnx")).unlink(missing_ok=True)
    print("%d failed" % failed)
    sys.exit(1 if failed else 0)


main()
