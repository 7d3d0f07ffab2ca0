"""A full training step (forward, loss, backward, SGD) in fp32 beside PyTorch of /usr/bin/python3.

The same networks (torchvision, random numbers, 10 classes), the same batch, as many threads as there are cores. Each
round measures ours and the peer's one after the other; medians over the rounds. On a machine with
neighbours the processor's seconds a step say more than the wall's, so both are printed. `partial` trains from the
last third on (--cut NETWORK=VALUE), its input given.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CORES = len(os.sched_getaffinity(0))
EXPORT = """
import sys, warnings, torch, torchvision
warnings.simplefilter("ignore")
for name in sys.argv[2:]:
    torch.onnx.export(getattr(torchvision.models, name)(num_classes=10).eval(), torch.zeros(1, 3, 224, 224),
                      f"{sys.argv[1]}/{name}.onnx", opset_version=13, input_names=["input"],
                      output_names=["output"], training=torch.onnx.TrainingMode.PRESERVE,
                      do_constant_folding=False, dynamic_axes={"input": {0: "N"}, "output": {0: "N"}})
"""
PEER = """
import json, sys, time, torch, torchvision
name, batch, threads, steps = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
best = None
for form in (torch.contiguous_format, torch.channels_last):
    model = getattr(torchvision.models, name)(num_classes=10).train().to(memory_format=form)
    optimiser = torch.optim.SGD(model.parameters(), 1e-4)
    x = torch.rand(batch, 3, 224, 224).to(memory_format=form)
    y = torch.arange(batch) % 10
    times = []
    for i in range(steps + 1):
        wall, cpu = time.monotonic(), time.process_time()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        times.append((time.monotonic() - wall, time.process_time() - cpu))
    wall, cpu = sorted(times[1:])[steps // 2]
    row = {"step_ms": wall * 1e3, "cpu_ms": cpu * 1e3, "version": torch.__version__,
           "layout": "channels last" if form == torch.channels_last else "contiguous"}
    best = row if best is None or row["cpu_ms"] < best["cpu_ms"] else best
print(json.dumps(best))
"""
TARGET = {"mobilenet_v2": 2.0, "resnet18": 1.15}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("networks", nargs="*", default=list(TARGET), help="of torchvision")
parser.add_argument("--program", default=ROOT / "build/release/tests/bench_train")
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--threads", type=int, default=CORES)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--steps", type=int, default=3, help="of each measurement")
parser.add_argument("--cut", action="append", default=[], metavar="NETWORK=VALUE", help="also train from there on")
args = parser.parse_args()
cuts = dict(c.split("=", 1) for c in args.cut)


def out(command):
    return json.loads(subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE).stdout)


def median(rows, key):
    return statistics.median(r[key] for r in rows)


def measure(folder, name):
    model = f"{folder}/{name}.onnx"
    mine, peer, partial = [], [], []
    what = (args.batch, args.threads, args.steps)
    for _ in range(args.rounds):
        mine.append(out((args.program, model, *what)))
        peer.append(out(("/usr/bin/python3", "-W", "ignore", "-c", PEER, name, *what)))
        if name in cuts:
            partial.append(out((args.program, model, *what, cuts[name])))
    row = {"bench": "train", "network": name, "batch": args.batch, "threads": args.threads,
           "engine": mine[0]["engine"], "peer": f"PyTorch {peer[0]['version']}, {peer[0]['layout']}",
           "images_per_s": args.batch / median(mine, "step_ms") * 1e3,
           "peer_images_per_s": args.batch / median(peer, "step_ms") * 1e3,
           "cpu_ms": median(mine, "cpu_ms"), "peer_cpu_ms": median(peer, "cpu_ms"),
           "bytes": mine[0]["bytes"], "target": TARGET.get(name)}
    row["times"] = row["images_per_s"] / row["peer_images_per_s"]
    row["times_cpu"] = row["peer_cpu_ms"] / row["cpu_ms"]
    if partial:
        row["cut"] = cuts[name]
        row["partial_times"] = median(mine, "step_ms") / median(partial, "step_ms")
        row["partial_times_cpu"] = row["cpu_ms"] / median(partial, "cpu_ms")
    return row


with tempfile.TemporaryDirectory() as folder:
    made = subprocess.run(["/usr/bin/python3", "-c", EXPORT, folder, *args.networks], stderr=subprocess.DEVNULL)
    if made.returncode:
        sys.exit("needs python3-torch, python3-torchvision and python3-onnx of /usr/bin/python3")
    rows = [measure(folder, name) for name in args.networks]
print(f"{'network':20} {'ours img/s':>10} {'peer img/s':>10} {'times':>6} {'ours cpu ms':>11} {'peer cpu ms':>11} {'times':>6}"
      f" {'target':>6} {'MB':>6}")
for r in rows:
    print(f"{r['network']:20} {r['images_per_s']:10.1f} {r['peer_images_per_s']:10.1f} {r['times']:6.2f} {r['cpu_ms']:11.0f}"
          f" {r['peer_cpu_ms']:11.0f} {r['times_cpu']:6.2f} {r['target'] or 0:6.2f} {r['bytes'] / 1e6:6.0f}")
    if "cut" in r:
        print(f"  from {r['cut']} on: {r['partial_times']:.2f} times the full step ({r['partial_times_cpu']:.2f} by cpu)")
for r in rows:
    print(json.dumps(r))
