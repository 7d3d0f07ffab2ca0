"""Scoring over HTTP beside our own decode + plan loop and beside the workshop's scoring container.

A daemon with two models of the same pictures, one served in fp32 and one in int8. For each, in rounds so that a
change of the machine's mood meets all: the loop without HTTP (bench_serve_loop), requests as fast as replies come
over keep-alive, the same at 50 % and 90 % of that, and one picture at a time. Then the peer (score_server.py of the
shared folder under gunicorn, as many workers as cores) with the workshop's JSON, and ours with the same bodies.
Load comes from bench_serve_load on the same cores, so its own work is part of what is measured.

--swaps N: promotions and rollbacks under full load; a reply that differs from the first of its version is "changed".
--training SECONDS: scoring, and GET / once a second with a second's patience, beside fine-tunes one after the other.
The peer needs Debian's gunicorn, python3-flask, python3-torch, python3-torchvision and python3-onnx; it is left out,
and said so, without them.
"""
import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "http"))
os.environ.setdefault("KENNELD", str(ROOT / "build/release/daemon/kenneld"))
from kennel_test import V1, Daemon  # noqa: E402

CORES = len(os.sched_getaffinity(0))
PRECISIONS = ("fp32", "int8")
TURNS = 8
IDLE_SECONDS = 60  # are enough for a percentile; beside training it is the patience that counts

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--shared", default=os.environ.get("KENNEL_SHARED", ROOT.parent / "shared"))
parser.add_argument("--programs", default=ROOT / "build/release/tests", help="folder of bench_serve_loop")
parser.add_argument("--data", default="stanford-dogs-3")
parser.add_argument("--backbone", default="mobilenet_v2_1.0_224")
parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
parser.add_argument("--rounds", type=int, default=2)
parser.add_argument("--pictures", type=int, default=60, help="different ones that are sent")
parser.add_argument("--no-peer", action="store_true")
parser.add_argument("--swaps", type=int, default=0, help="this mode alone, with so many swaps")
parser.add_argument("--training", type=float, default=0, help="this mode alone, for so many seconds")
parser.add_argument("--training-recipe", default='{"mode": "fine_tune"}', help="of the jobs beside scoring, JSON")
args = parser.parse_args()
shared = pathlib.Path(args.shared)
backbone = shared / "backbones" / (args.backbone + ".onnx")


def flags():
    for line in open("/proc/cpuinfo"):
        if line.startswith("flags"):
            have = line.split()
            return " ".join(f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile") if f in have)
    return "?"


def out(*command):
    return json.loads(subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE).stdout)


def loop(model, threads, pictures, seconds=None):
    return out(pathlib.Path(args.programs) / "bench_serve_loop", model, seconds or args.seconds, threads, *pictures)


def load(port, path, kind, connections, rate, bodies, seconds=None):
    return out(pathlib.Path(args.programs) / "bench_serve_load", port, path, kind, seconds or args.seconds, connections,
               rate, *bodies)


def status(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(name + r":\s*(\d+)", file.read()).group(1)) / 1024


def write_pictures(folder):
    """Full-size pictures as they are, and in the workshop's JSON."""
    raw, encoded = [], []
    with tarfile.open(shared / "datasets" / (args.data + ".tar")) as source:
        files = [m for m in source if m.isfile() and m.name.endswith(".jpg")]
        for i, member in enumerate(files[::max(1, len(files) // args.pictures)][:args.pictures]):
            data = source.extractfile(member).read()
            raw.append(folder / f"{i}.jpg")
            raw[-1].write_bytes(data)
            encoded.append(folder / f"{i}.json")
            encoded[-1].write_text(json.dumps({"data": base64.b64encode(data).decode()}))
    return raw, encoded


def retrain(d, name, recipe, seed=1):
    job = d.wait_job(d.post(f"{V1}/models/{name}/retrain", {"seed": seed, "recipe": recipe}, 202).json["id"])
    if job["state"] not in ("succeeded", "rejected"):
        sys.exit(f"job {job['state']}: {job['error']}")
    return job["version"]


def force(d, name, version):
    d.post(f"{V1}/models/{name}/promote", {"version": version, "force": True, "reason": "a benchmark"}, 200)


def set_up(d):
    d.post(f"{V1}/backbones?name=b", backbone.read_bytes(), 201)
    d.post(f"{V1}/datasets", {"name": "d"}, 201)
    d.post(f"{V1}/datasets/d/import", (shared / "datasets" / (args.data + ".tar")).read_bytes(), 200)


def add_model(d, folder, precision):
    """A model of that name and precision, in production; its file."""
    d.post(f"{V1}/models", {"name": precision, "dataset": "d", "backbone": "b"}, 201)
    version = retrain(d, precision, {"precision": precision})
    told = d.get(f"{V1}/models/{precision}/versions/{version}")["precision"]["served"]
    if told != precision:
        sys.exit(f"version {version} is served in {told}, not {precision}")
    force(d, precision, version)
    file = folder / f"{precision}.onnx"
    with urllib.request.urlopen(f"{d.url}{V1}/models/{precision}/versions/{version}/model.onnx") as reply:
        file.write_bytes(reply.read())
    return file


# -- throughput and latency ------------------------------------------------------------------------------

def measure(d, precision, model, raw):
    """One round."""
    path, row = f"{V1}/models/{precision}/score", {"bad": 0}

    def over_http(connections, rate, seconds=None):
        got = load(d.port, path, "image/jpeg", connections, rate, raw, seconds)
        row["bad"] += got["bad"]
        return got
    row["loop_per_s"] = loop(model, CORES, raw)["per_s"]
    row["http_per_s"] = over_http(2 * CORES, 0)["per_s"]
    for share in (50, 90):
        got = over_http(16, row["http_per_s"] * share / 100)
        for key in ("p50_ms", "p99_ms", "p999_ms"):
            row[f"{share}_{key}"] = got[key]
    # In short turns: what is compared is a tenth of what it varies by.
    turns = [(loop(model, 1, raw, args.seconds / TURNS)["median_ms"], over_http(1, 0, args.seconds / TURNS)["p50_ms"])
             for _ in range(TURNS)]
    row["loop_ms"], row["http_ms"] = (statistics.median(column) for column in zip(*turns))
    return row


def medians(rows):
    row = {key: statistics.median(r[key] for r in rows) for key in rows[0]}
    row["bad"] = sum(r["bad"] for r in rows)
    row["http_share"] = row["http_per_s"] / row["loop_per_s"]
    row["http_adds_ms"] = row["http_ms"] - row["loop_ms"]
    return row


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def peer(encoded):
    """Requests a second of the workshop's container; None, said why, when it cannot be had."""
    if args.no_peer:
        return None
    gunicorn = shutil.which("gunicorn", path="/usr/bin")
    if not gunicorn:
        print("the peer is left out: it needs gunicorn")
        return None
    port = free_port()
    command = ["/usr/bin/python3", gunicorn, "-w", str(CORES), "-b", f"127.0.0.1:{port}", "--chdir",
               str(shared / "peers"), "score_server:app"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=dict(os.environ, BACKBONE=str(backbone)), stdout=log, stderr=log)
        try:
            for _ in range(600):
                if process.poll() is not None:
                    break
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
                    break
                except OSError:
                    time.sleep(0.1)
            if process.poll() is not None:
                log.seek(0)
                print("the peer is left out: " + log.read().decode(errors="replace").strip().split("\n")[-1])
                return None
            load(port, "/score", "application/json", 2 * CORES, 0, encoded, 2)
            return load(port, "/score", "application/json", 2 * CORES, 0, encoded)
        finally:
            process.terminate()
            process.wait()


def alone(state, raw):
    """The fp32 version alone: milliseconds from the start of the process until it is ready, and MB after a load."""
    start = time.monotonic()
    d = Daemon(state=state)
    while d.request("GET", "/readyz").status != 200:
        pass
    took = 1000 * (time.monotonic() - start)
    load(d.port, f"{V1}/models/fp32/score", "image/jpeg", 2 * CORES, 0, raw, 2)
    resident = status(d.process.pid, "VmRSS")
    d.stop(keep=True)
    return took, resident


def compare(d, models, raw, encoded):
    rounds = {p: [] for p in PRECISIONS}
    for _ in range(args.rounds):
        for precision in PRECISIONS:
            rounds[precision].append(measure(d, precision, models[precision], raw))
    rows = {p: medians(rounds[p]) for p in PRECISIONS}
    theirs = peer(encoded)
    for precision, row in rows.items():
        got = load(d.port, f"{V1}/service/{precision}/score", "application/json", 2 * CORES, 0, encoded)
        row["json_per_s"] = got["per_s"]
        row["bad"] += got["bad"]
        row["peer_per_s"] = theirs["per_s"] if theirs else None
        row["peer_ratio"] = got["per_s"] / theirs["per_s"] if theirs else None
        row["resident_mb"] = status(d.process.pid, "VmRSS")
    return rows


def print_rows(rows):
    def number(x, form):
        return "-" if x is None else format(x, form)
    print(f"{'':6}{'loop/s':>8}{'HTTP/s':>8}{'share':>7}{'JSON/s':>8}{'peer/s':>8}{'ratio':>7} |"
          f"{'p50':>7}{'p99':>7}{'p99.9':>7} at 50 % |{'p50':>7}{'p99':>7}{'p99.9':>7} at 90 % |"
          f"{'loop ms':>8}{'HTTP ms':>8}{'adds':>7} | errors")
    for name, r in rows.items():
        print(f"{name:6}{r['loop_per_s']:8.1f}{r['http_per_s']:8.1f}{r['http_share']:7.2f}{r['json_per_s']:8.1f}"
              f"{number(r['peer_per_s'], '8.1f'):>8}{number(r['peer_ratio'], '7.1f'):>7} |"
              f"{r['50_p50_ms']:7.2f}{r['50_p99_ms']:7.2f}{r['50_p999_ms']:7.2f} {'':8}|"
              f"{r['90_p50_ms']:7.2f}{r['90_p99_ms']:7.2f}{r['90_p999_ms']:7.2f} {'':8}|"
              f"{r['loop_ms']:8.2f}{r['http_ms']:8.2f}{r['http_adds_ms']:7.2f} | {r['bad']}")


# -- beside other work -----------------------------------------------------------------------------------

class Beside:
    """A load in the background, which ends with what it stands beside. end: is called until a work under way ends."""

    def __init__(self, work, end=lambda: None):
        self.failed, self.stop, self.end = None, threading.Event(), end
        self.thread = threading.Thread(target=self.run, args=(work,))

    def run(self, work):
        try:
            while not self.stop.is_set():
                work()
        except BaseException as e:  # told by the main thread
            self.failed = e

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        while self.thread.is_alive():
            self.end()
            self.thread.join(1)
        if self.failed:
            raise self.failed


def swaps(d, raw):
    """The same connections and bodies, without swaps and with them."""
    path = f"{V1}/models/fp32/score"
    first = d.get(f"{V1}/models/fp32")["production"]
    second = retrain(d, "fp32", {"precision": "fp32", "penalty": 5.0})
    load(d.port, path, "image/jpeg", 2 * CORES, 0, raw, 2)
    calm = load(d.port, path, "image/jpeg", 2 * CORES, 0, raw)
    parts, early = [], None
    with Beside(lambda: parts.append(load(d.port, path, "image/jpeg", 2 * CORES, 0, raw))):
        start = time.monotonic()
        for i in range(args.swaps):
            force(d, "fp32", (second, first)[i % 2]) if i % 4 < 2 else (
                d.post(f"{V1}/models/fp32/rollback", None, 200))
            if i == args.swaps // 5:
                early = status(d.process.pid, "VmRSS")
        took = time.monotonic() - start
        late = status(d.process.pid, "VmRSS")
    return {"bench": "serve-swaps", "swaps": args.swaps, "seconds": took, "good": sum(p["good"] for p in parts),
            "bad": sum(p["bad"] for p in parts), "changed": sum(p["changed"] for p in parts), "calm_p99_ms": calm["p99_ms"], "p99_ms": max(p["p99_ms"] for p in parts),
            "slowest_ms": max(p["max_ms"] for p in parts),
            "slowest_over_calm_p99": max(p["max_ms"] for p in parts) / calm["p99_ms"],
            "resident_early_mb": early, "resident_late_mb": late}


def probe(d, slowest):
    """GET / as a load balancer asks: one second's patience."""
    start = time.monotonic()
    try:
        good = urllib.request.urlopen(d.url + "/", timeout=1).read() == b"Healthy"
    except OSError:
        good = False
    took = time.monotonic() - start
    slowest.append(took if good else float("inf"))
    time.sleep(max(0, 1 - took))


def train(d, recipe, states):
    """With a seed that was not seen, so that nothing is there already."""
    job = d.post(f"{V1}/models/int8/retrain", {"seed": 100 + len(states), "recipe": recipe}, 202).json["id"]
    states.append(d.wait_job(job)["state"])


def cancel_all(d):
    for job in d.get(f"{V1}/jobs?state=running")["jobs"]:
        d.post(f"{V1}/jobs/{job['id']}/cancel")


def training(d, raw):
    """At half of what the idle machine can do, first idle, then beside jobs that train."""
    path, states, slowest = f"{V1}/models/fp32/score", [], []
    recipe = json.loads(args.training_recipe)
    rate = load(d.port, path, "image/jpeg", 2 * CORES, 0, raw)["per_s"] / 2
    idle = load(d.port, path, "image/jpeg", 16, rate, raw, min(args.training, IDLE_SECONDS))
    with Beside(lambda: train(d, recipe, states), lambda: cancel_all(d)), Beside(lambda: probe(d, slowest)):
        busy = load(d.port, path, "image/jpeg", 16, rate, raw, args.training)
    return {"bench": "serve-training", "seconds": args.training, "recipe": recipe, "per_s": rate,
            "jobs": states, "idle_p99_ms": idle["p99_ms"], "busy_p99_ms": busy["p99_ms"],
            "ratio": busy["p99_ms"] / idle["p99_ms"], "bad": idle["bad"] + busy["bad"], "probes": len(slowest),
            "probes_missed": slowest.count(float("inf")), "probe_slowest_ms": 1000 * max(slowest)}


def rounded(row):
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    raw, encoded = write_pictures(folder)
    state = str(folder / "state")
    d = Daemon(state=state)
    set_up(d)
    models = {"fp32": add_model(d, folder, "fp32")}
    d.stop(keep=True)
    took, resident = alone(state, raw)
    d = Daemon(state=state)
    models["int8"] = add_model(d, folder, "int8")
    if args.swaps:
        print(json.dumps(rounded(swaps(d, raw))))
    if args.training:
        print(json.dumps(rounded(training(d, raw))))
    if not args.swaps and not args.training:
        rows = compare(d, models, raw, encoded)
        print_rows(rows)
        print(f"\nwith the fp32 version alone: ready after {took:.0f} ms, {resident:.0f} MB resident after a load\n")
        for precision, row in rows.items():
            print(json.dumps(rounded({"bench": "serve", "precision": precision, "network": args.backbone, "cores": CORES,
                                      "isa": flags(), "rounds": args.rounds, "ready_ms": took,
                                      "alone_resident_mb": resident, **row})))
    d.stop()
