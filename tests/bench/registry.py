"""The registry with 1,000,000 pictures and 10,000 versions, beside one with 1,000 and 100: what lists, promotions and
steps of lineage take over HTTP in each, one request of the one and one of the other in turn.

usage: tests/bench/run.sh registry [--pictures N] [--versions N] [--rounds N]

Both are the same model, trained once by the daemon itself; the other rows are written into its database, as the
requests of years would have written them. Exit status 1 when a request takes more than twice as long in the large one.
"""
import argparse
import hashlib
import http.client
import json
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
os.environ.setdefault("KENNELD", os.path.join(ROOT, "build", "release", "daemon", "kenneld"))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "http")]
import machine  # noqa: E402
from kennel_test import V1, Daemon, make_model  # noqa: E402

JOB = "00000000000000000000{:06}"
PREDICTION = "{:032}"
LIMIT = 2.0


def pictures_of(number):
    return (hashlib.sha256(b"picture %d" % i).digest() for i in range(number))


def dataset_rows(db, pictures, versions):
    """Pictures that came with one version of the dataset and another one, the oldest of which have gone again."""
    counts = db.execute("SELECT counts FROM dataset_version").fetchone()[0]
    db.executemany("INSERT INTO dataset_version SELECT 1, ?, ?, 'import', 'bench', ?, ?, 3, ?, 0, 0, 0, 0, NULL",
                   ((n, hashlib.sha256(b"manifest %d" % n).digest(), n, pictures, counts)
                    for n in range(2, versions + 1)))
    db.executemany("INSERT INTO picture VALUES (?, 1000, 'jpeg', 500, 400, NULL)",
                   ((digest,) for digest in pictures_of(pictures)))
    db.executemany("INSERT INTO member VALUES (1, ?, ?, ?, 'red', 'train')",
                   ((digest, 2 + i % (versions - 2), versions if i % 50 == 0 else None)
                    for i, digest in enumerate(pictures_of(pictures))))


def version_rows(db, versions, dataset_versions):
    """Each with its job; every tenth was in production for a while, and the newest have answered."""
    job = db.execute("SELECT * FROM job").fetchone()
    columns = [row[1] for row in db.execute("PRAGMA table_info(job)")]
    version = db.execute("SELECT * FROM version").fetchone()
    version_columns = [row[1] for row in db.execute("PRAGMA table_info(version)")]
    for n in range(2, versions + 1):
        row = dict(zip(columns, job))
        row.update(id=JOB.format(n), dataset_version=1 + n % dataset_versions, champion=max(1, n - n % 10), version=n,
                   seed=n, created_ms=row["created_ms"] + n)
        db.execute(f"INSERT INTO job VALUES ({', '.join('?' * len(row))})", list(row.values()))
        row = dict(zip(version_columns, version))
        row.update(number=n, job=JOB.format(n), created_ms=row["created_ms"] + n)
        db.execute(f"INSERT INTO version VALUES ({', '.join('?' * len(row))})", list(row.values()))
        if n % 10 == 0:
            db.execute("INSERT INTO alias_history (model, alias, version, previous, cause, forced, who, at_ms)"
                       " VALUES (1, 'production', ?, ?, 'promote', 0, 'bench', ?)", (n, n - 10 or 1, n))
        db.execute("INSERT INTO audit (at_ms, who, what, subject) VALUES (?, 'bench', 'job.submit', ?)",
                   (n, f"job/{JOB.format(n)}"))
    answers = min(100_000, versions * 10)
    db.executemany("INSERT INTO prediction (id, model, version, label, probability, at_ms) VALUES (?, 1, ?, 'red', 1, ?)",
                   ((PREDICTION.format(i), 1 + i % versions, i) for i in range(answers)))


def fill(state, pictures, versions):
    db = sqlite3.connect(os.path.join(state, "kennel.db"))
    db.execute("PRAGMA synchronous = OFF")
    dataset_versions = max(4, versions // 20)
    dataset_rows(db, pictures, dataset_versions)
    version_rows(db, versions, dataset_versions)
    assert not db.execute("PRAGMA foreign_key_check").fetchall()
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return dataset_versions


class Registry:
    def __init__(self, origin, pictures, versions):
        self.folder = tempfile.mkdtemp(prefix="kennel-bench-")
        state = os.path.join(self.folder, "state")
        shutil.copytree(origin, state)
        self.versions, self.pictures = versions, pictures
        self.dataset_versions = fill(state, pictures, versions)
        begun = time.monotonic()
        self.daemon = Daemon(state=state)
        self.start_seconds = time.monotonic() - begun
        self.bytes = os.path.getsize(os.path.join(state, "kennel.db"))
        self.connection = self.daemon.connect()
        self.some = [d.hex() for i, d in enumerate(pictures_of(pictures)) if i in (0, pictures // 2, pictures - 1)]

    def ask(self, method, path, body=None):
        """Milliseconds."""
        begun = time.perf_counter()
        self.connection.request(method, path, json.dumps(body) if body else None)
        reply = self.connection.getresponse()
        text = reply.read()
        taken = (time.perf_counter() - begun) * 1000
        assert reply.status == 200, (path, reply.status, text[:300])
        return taken

    def stop(self):
        self.daemon.stop()
        shutil.rmtree(self.folder)


def operations(r, turn):
    """What is asked in one turn: (name, method, path, body)."""
    m = f"{V1}/models/colors"
    middle, lineage = r.versions // 2 + turn % 7, f"{V1}/lineage?of="
    yield "list models", "GET", f"{V1}/models", None
    yield "list versions", "GET", f"{m}/versions", None
    yield "list versions, in the middle", "GET", f"{m}/versions?before={middle}&limit=40", None
    yield "show a version", "GET", f"{m}/versions/{middle}", None
    yield "list datasets", "GET", f"{V1}/datasets", None
    yield "list jobs", "GET", f"{V1}/jobs?model=colors", None
    yield "list the audit log", "GET", f"{V1}/audit", None
    yield "list moves of aliases", "GET", f"{m}/promotions?limit=10", None
    yield "promote", "POST", f"{m}/promote", {"version": middle - turn % 2, "force": True, "reason": "bench"}
    yield "lineage of a version", "GET", f"{lineage}model/colors/versions/{middle}", None
    yield "lineage of a job", "GET", f"{lineage}job/{JOB.format(middle)}", None
    yield "lineage of a dataset version", "GET", f"{lineage}dataset/colors/versions/{r.dataset_versions // 2}", None
    yield "lineage of a picture", "GET", f"{lineage}picture/{r.some[turn % 3]}&limit=5", None
    yield "lineage of a prediction", "GET", f"{lineage}prediction/{PREDICTION.format(5 + turn)}", None
    yield "lineage of a backbone", "GET", f"{lineage}backbone/tiny", None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40)
    a = parser.parse_args()
    first = Daemon()
    make_model(first)
    first.stop(keep=True)
    small, large = (Registry(first.state, *size) for size in ((1000, 100), (a.pictures, a.versions)))
    shutil.rmtree(first.folder)
    print(f"{machine.CORES} cores, {machine.instruction_sets()}; {a.rounds} rounds; {large.pictures:,} pictures,"
          f" {large.versions:,} versions: {large.bytes / 1e6:.0f} MB, a start takes {large.start_seconds:.1f} s"
          f" ({small.start_seconds:.1f} s with {small.pictures:,} and {small.versions})")
    taken = {}
    for turn in range(a.rounds + 2):
        for (name, *one), (_, *other) in zip(operations(small, turn), operations(large, turn)):
            times = small.ask(*one), large.ask(*other)
            if turn >= 2:
                taken.setdefault(name, []).append(times)
    print(f"{'':32}{'small ms':>10}{'large ms':>10}{'times':>7}")
    failed = False
    for name, times in taken.items():
        s, l = (statistics.median(column) for column in zip(*times))
        failed = failed or l > LIMIT * s
        print(f"{name:32}{s:10.2f}{l:10.2f}{l / s:7.2f}")
    small.stop()
    large.stop()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
