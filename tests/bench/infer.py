"""Inference beside ONNX Runtime: latency, throughput, with a neighbour, share of the peak; int8.

Each round measures ours and the peer's one after the other for one network at a time, so that a change of the
machine's mood meets both; medians over the rounds. The neighbour is a process that keeps one core busy.
The peer's throughput is its best of three batch sizes, in one process with all cores or one process a core.
int8 is calibrated on the picture that it is measured with, and set beside the peer's fp32 and ours.
The share of the peak counts the products of direct convolutions: Winograd's method makes do with fewer.
ONNX Runtime is onnxruntime-node, its modules folder given by --ort or ORT_MODULES (left out, and said so, when
absent). Networks: MobileNetV2 of the shared folder, ResNet-18 and 50 as python3-torchvision exports them; or the
files given. With the defaults it takes about six minutes on two idle cores.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from machine import CORES, instruction_sets

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EXPORT = """
import sys, warnings, torch, torchvision
warnings.simplefilter("ignore")
torch.manual_seed(1)
for name in ("resnet18", "resnet50"):
    torch.onnx.export(getattr(torchvision.models, name)().eval(), torch.zeros(1, 3, 224, 224),
                      f"{sys.argv[1]}/{name}.onnx", opset_version=13, input_names=["input"],
                      output_names=["output"], dynamic_axes={"input": {0: "N"}, "output": {0: "N"}})
"""
BATCHES = (1, 4, 16)
THREADS = tuple(range(1, min(CORES, 2) + 1))  # of one of our plans
GFLOP = {"resnet50": 8.178}  # 4.089 G multiply-adds: convolutions and the classifier at 224 x 224

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("models", nargs="*", help="ONNX files; by default those named above")
parser.add_argument("--shared", default=os.environ.get("KENNEL_SHARED", ROOT.parent / "shared"))
parser.add_argument("--ort", default=os.environ.get("ORT_MODULES"), help="node_modules with onnxruntime-node")
parser.add_argument("--program", default=ROOT / "build/release/tests/bench_infer")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
args = parser.parse_args()
peer_script = pathlib.Path(args.shared) / "peers/ort_bench.js"
peer = bool(args.ort and shutil.which("node") and peer_script.is_file()
            and (pathlib.Path(args.ort) / "onnxruntime-node").is_dir())
ORT_ENVIRONMENT = dict(os.environ, NODE_PATH=str(pathlib.Path(args.ort or ".").resolve()))


def out(command, **kwargs):
    return json.loads(subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, **kwargs).stdout)


def ours(*what):
    return out((args.program, *what))


def ort_command(model, batch, threads):
    return [str(c) for c in ("node", peer_script, model, batch, threads, args.seconds)]


def ort(model, batch, threads):
    if not peer:
        return None
    return out(ort_command(model, batch, threads), env=ORT_ENVIRONMENT)


def ort_rate(model, batch, threads):
    """Pictures a second with all cores: as many processes as it takes, at the same time."""
    children = [subprocess.Popen(ort_command(model, batch, threads), env=ORT_ENVIRONMENT, stdout=subprocess.PIPE)
                for _ in range(CORES // threads)]
    texts = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        sys.exit(f"{peer_script} failed on {model}")
    return sum(json.loads(text)["images_per_s"] for text in texts)


class Neighbour:
    """A process that keeps one core busy. It may run on any: the scheduler decides, as on a real node."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", "while True: pass"])

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Samples(dict):
    def add(self, name, value):
        if value is not None:
            self.setdefault(name, []).append(value)

    def median(self, name):
        return statistics.median(self[name]) if name in self else None


def keep(samples, name, row, key):
    if row:
        samples.add(name, row[key])


def best_batch(model):
    """The peer's best batch, and threads a process, for throughput with all cores; found once."""
    rates = {(b, t): ort_rate(model, b, t) for b in BATCHES for t in sorted({1, CORES})}
    return max(rates, key=rates.get)


def one_round(model, samples, best):
    samples.add("gflops", ours("peak", 0.3, 2048)["gflops"])
    for threads in THREADS:
        mine = ours("latency", model, args.seconds, 1, threads)
        samples.add(f"ours {threads}", mine["median_ms"])
        samples["engine"] = [mine["engine"]]
        samples["bytes"] = [mine["plan_bytes"] + mine["scratch_bytes"]]
        keep(samples, f"ort {threads}", ort(model, 1, threads), "median_ms")
    samples.add("ours rate", ours("throughput", model, args.seconds, CORES, 1)["images_per_s"])
    if best:
        samples.add("ort rate", ort_rate(model, *best))
    samples.add("int8 rate", ours("throughput", model, args.seconds, CORES, 1, "int8")["images_per_s"])
    samples.add("int8 ms", ours("throughput", model, args.seconds, 1, 1, "int8")["processor_ms"])
    with Neighbour():
        for threads in THREADS:
            samples.add(f"ours {threads} busy", ours("latency", model, args.seconds, 1, threads)["median_ms"])
        keep(samples, "ort busy", ort(model, 1, THREADS[-1]), "median_ms")
    plan = ours("plan", model)
    for key in ("load_ms", "plan_ms", "again_ms", "batch4_ms"):
        samples.add(key, plan[key])


def ratio(a, b):
    return a / b if a and b else None


def text(x, form):
    return "-" if x is None else format(x, form)


def networks(folder):
    if args.models:
        return [pathlib.Path(m) for m in args.models]
    if subprocess.run(["/usr/bin/python3", "-c", EXPORT, folder], stderr=subprocess.DEVNULL).returncode:
        print("ResNet-18 and 50 left out: they need python3-torch, python3-torchvision and python3-onnx")
    mobilenet = pathlib.Path(args.shared) / "backbones/mobilenet_v2_1.0_224.onnx"
    return [mobilenet, *sorted(pathlib.Path(folder).glob("*.onnx"))]


def measure(models):
    all_samples = {m: Samples() for m in models}
    best = {m: best_batch(m) for m in models} if peer else {}
    for _ in range(args.rounds):
        for m in models:
            one_round(m, all_samples[m], best.get(m))
    return all_samples, best


def row_of(model, s, best):
    row = {"bench": "infer", "precision": "fp32", "network": model.stem, "rounds": args.rounds, "cores": CORES,
           "isa": instruction_sets(), "engine": s["engine"][0], "bytes": s["bytes"][0],
           "sgemm_gflops": s.median("gflops")}
    for t in THREADS:
        row[f"latency_{t}_ms"] = s.median(f"ours {t}")
        row[f"latency_{t}_busy_ms"] = s.median(f"ours {t} busy")
        row[f"ort_latency_{t}_ms"] = s.median(f"ort {t}")
        row[f"latency_{t}_ratio"] = ratio(s.median(f"ort {t}"), s.median(f"ours {t}"))
        row[f"busy_{t}_over_idle"] = ratio(s.median(f"ours {t} busy"), s.median(f"ours {t}"))
    row.update(images_per_s=s.median("ours rate"), ort_images_per_s=s.median("ort rate"), ort_best=best,
               throughput_ratio=ratio(s.median("ours rate"), s.median("ort rate")), ort_busy_ms=s.median("ort busy"),
               load_ms=s.median("load_ms"), plan_ms=s.median("plan_ms"), plan_again_ms=s.median("again_ms"),
               plan_batch4_ms=s.median("batch4_ms"))
    if model.stem in GFLOP:
        gflops = GFLOP[model.stem] / row["latency_1_ms"] * 1000
        row["share_of_sgemm_peak"] = gflops / row["sgemm_gflops"]
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


def int8_row_of(model, s):
    row = {"bench": "infer", "precision": "int8", "network": model.stem, "rounds": args.rounds, "cores": CORES,
           "isa": instruction_sets(), "engine": s["engine"][0], "latency_1_ms": s.median("int8 ms"),
           "images_per_s": s.median("int8 rate"), "over_fp32": ratio(s.median("int8 rate"), s.median("ours rate")),
           "over_ort_fp32": ratio(s.median("int8 rate"), s.median("ort rate"))}
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


def print_tables(rows):
    print(f"batch 1, milliseconds (ratio: ONNX Runtime's over ours); {args.rounds} rounds of {args.seconds} s")
    head = [f"{t} thread{'s' * (t > 1)}" for t in THREADS]
    print(f"{'':32}" + "".join(f"{h:>10} {'ORT':>8} {'ratio':>6} " for h in head)
          + f"| {'ours/s':>8} {'ORT/s':>8} {'ratio':>6} best (batch, threads a process)")
    for r in rows:
        line = f"{r['network']:32}"
        for t in THREADS:
            line += (f"{text(r[f'latency_{t}_ms'], '10.2f'):>10} {text(r[f'ort_latency_{t}_ms'], '8.2f'):>8} "
                     f"{text(r[f'latency_{t}_ratio'], '6.2f'):>6} ")
        print(line + f"| {r['images_per_s']:8.0f} {text(r['ort_images_per_s'], '8.0f'):>8} "
              f"{text(r['throughput_ratio'], '6.2f'):>6} {r['ort_best'] or ''}")
    print("\nwith one core kept busy by another process, milliseconds")
    print(f"{'':32}" + "".join(f"{h:>10} {'/ idle':>7} " for h in head)
          + f"{'ORT':>8} | {'load ms':>8} {'plan ms':>8} {'again':>7} {'batch 4':>8} {'MB':>6}")
    for r in rows:
        line = f"{r['network']:32}"
        for t in THREADS:
            line += (f"{text(r[f'latency_{t}_busy_ms'], '10.2f'):>10} "
                     f"{text(r[f'busy_{t}_over_idle'], '7.2f'):>7} ")
        print(line + f"{text(r['ort_busy_ms'], '8.2f'):>8} | {r['load_ms']:8.1f} {r['plan_ms']:8.1f} "
              f"{r['plan_again_ms']:7.1f} {r['plan_batch4_ms']:8.1f} {r['bytes'] / 1e6:6.1f}")
    for r in rows:
        if "share_of_sgemm_peak" in r:
            print(f"\n{r['network']}: {100 * r['share_of_sgemm_peak']:.0f} % of the sgemm peak "
                  f"({r['sgemm_gflops']:.0f} GFLOP/s on one core, 2048 x 2048 x 2048)")


def print_int8(rows):
    print(f"\nint8 {'ms, 1 thread':>39} {'ours/s':>8} {'/ fp32':>7} {'/ ORT fp32':>11}")
    for r in rows:
        print(f"{r['network']:32} {r['latency_1_ms']:11.2f} {r['images_per_s']:8.0f} {r['over_fp32']:7.2f} "
              f"{text(r['over_ort_fp32'], '11.2f'):>11}")


start = time.monotonic()
with tempfile.TemporaryDirectory() as folder:
    models = networks(folder)
    if not peer:
        print("ONNX Runtime left out: give --ort (or ORT_MODULES) a node_modules folder with onnxruntime-node")
    samples, best = measure(models)
rows = [row_of(m, samples[m], best.get(m)) for m in models]
int8_rows = [int8_row_of(m, samples[m]) for m in models]
print(f"{rows[0]['engine']}, {CORES} cores, {instruction_sets()}, load {os.getloadavg()[0]:.1f} at the end, "
      f"{time.monotonic() - start:.0f} s\n")
print_tables(rows)
print_int8(int8_rows)
print()
for r in rows + int8_rows:
    print(json.dumps(r))
