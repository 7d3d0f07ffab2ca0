"""Makes kept/NNNN.sql: a small database as a program of that schema number left it, as a dump.

    python3 tests/kept/make.py NUMBER

is run once when migration NUMBER is made, and its file is committed with it; it is not made again,
because what it is for is that a later migration meets the database as it was. tests/http/test_migrations.py
opens each with the present program.
"""
import hashlib
import json
import pathlib
import sqlite3
import sys

HERE = pathlib.Path(__file__).resolve().parent
MIGRATIONS = HERE.parent.parent / "daemon" / "migrations"
RECIPE = json.loads("""{"augment":null,"balanced":"auto","folds":5,"mode":"head","penalty":0.0,"precision":"auto",
"precision_margin":0.005,"preset":"default","solver":"lbfgs","views":1}""")
GATE = json.loads("""{"margin":0.0,"max_bytes":null,"max_calibration_error":1.0,"max_latency_ms":null,"max_p":1.0,
"min_accuracy":0.0,"min_holdout":0,"min_recall":0.0,"rule":"superiority"}""")
DECISION = {**GATE, **json.loads("""{"accuracy":1.0,"bytes":6238,"calibration_error":0.00003,"champion":null,
"champion_accuracy":null,"holdout":{"count":7,"digest":"0b7f5fc5b01a735fa071fb4d81d349f6c8e7f419b1d68559e24c8adeb7453c91",
"split":"val"},"latency_ms":null,"majority_accuracy":0.57,"mcnemar_p":null,"paired":null,"passed":true,"reasons":[],
"smallest_difference":null,"worst_recall":{"label":"blue","recall":1.0,"support":1}}""")}
KEY = "kept"
MS = 1_700_000_000_000
JOBS = ["01hf00000000000000000000aa", "01hf00000000000000000000ab", "01hf00000000000000000000ac"]


def digest(n):
    return bytes([n] * 32)


def insert(db, table, **row):
    values = [json.dumps(v, separators=(",", ":"), sort_keys=True) if isinstance(v, (dict, list)) else v
              for v in row.values()]
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(values))})", values)


def first(db):
    """Two versions of a dataset, a backbone, a model with two versions and what led to them."""
    insert(db, "dataset", id=1, name="dogs", created_ms=MS, who="someone")
    for n in range(1, 5):
        insert(db, "picture", digest=digest(n), bytes=100 + n, format="png" if n % 2 else "jpeg", width=40 + n, height=30)
    counts = {"red": {"train": 1, "val": 1, "test": 0}, "blü": {"train": 1, "val": 0, "test": 0}}
    for n in (1, 2):
        insert(db, "dataset_version", dataset=1, number=n, digest=digest(10 + n), cause=("import", "delete")[n - 1],
               who="someone", created_ms=MS + n, pictures=5 - n, labels=2, counts=counts, added=4 if n == 1 else 0,
               removed=n - 1, duplicates=0, rejected=1 if n == 1 else 0)
    for n in range(1, 5):
        insert(db, "member", dataset=1, picture=digest(n), added=1, removed=2 if n == 4 else None,
               label="red" if n < 3 else "blü", split=("train", "val", "test", "train")[n - 1])
    insert(db, "rejected", id=1, dataset=1, version=1, path="red/bad.png", code="picture_corrupt", reason="it is broken")
    insert(db, "backbone", id=1, name="tiny", digest=digest(20), bytes=1000, feature_tensor="f", feature_width=16,
           input_name="x", input_height=32, input_width=32, preprocess={"resize": 36, "size": 32}, parameters=100,
           overrides={}, created_ms=MS, who="someone")
    insert(db, "model", id=1, name="dogs", dataset=1, backbone=1, recipe=RECIPE, gate=GATE,
           strip_prefix=None, created_ms=MS, who="someone")
    for n, job in enumerate(JOBS, 1):
        done = n < 3
        # A job's version and its version's job name each other: first one, then the other.
        insert(db, "job", id=job, model=1, state="cancelled" if done else "failed", dataset=1, dataset_version=min(n, 2),
               backbone=1, mode="head", recipe=RECIPE, gate=GATE, seed=n, tags={"build": str(n)},
               requested_by="pipeline", attempt=1, forward_passes=5, error_code=None if done else "no_memory",
               error_message=None if done else "too little", created_ms=MS + 10 * n, started_ms=MS + 10 * n + 1,
               ended_ms=MS + 10 * n + 5)
        if done:
            insert(db, "version", model=1, number=n, job=job, artifact=digest(30 + n), bytes=5000, report=digest(40 + n),
                   decision={**DECISION, "passed": n == 1}, passed=n == 1, accuracy=0.9, macro_f1=0.8, log_loss=0.3,
                   calibration_error=0.02, holdout_count=1, created_ms=MS + 10 * n + 4)
            db.execute("UPDATE job SET state = ?, version = ?, champion = ? WHERE id = ?",
                       (("succeeded", "rejected")[n - 1], n, n - 1 or None, job))
    insert(db, "alias", model=1, name="production", version=1)
    insert(db, "alias_history", id=1, model=1, alias="production", version=2, previous=None, cause="promote", forced=1,
           reason="nothing else", who="boss", at_ms=MS + 50, decision={**DECISION, "passed": False})
    insert(db, "alias_history", id=2, model=1, alias="production", version=1, previous=2, cause="promote", forced=0,
           reason=None, who="boss", at_ms=MS + 60, decision=DECISION)
    insert(db, "audit", id=1, at_ms=MS, who="someone", what="dataset.create", subject="dataset/dogs", before=None, after=None)
    insert(db, "audit", id=2, at_ms=MS + 60, who="boss", what="model.promote", subject="model/dogs",
           before={"production": 2}, after={"production": 1})


# What each migration made room for.
MORE = {
    2: lambda db: db.execute("UPDATE job SET deaths = 2 WHERE id = ?", (JOBS[2],)),
    3: lambda db: (db.execute("UPDATE job SET priority = 5 WHERE id = ?", (JOBS[0],)),
                   insert(db, "idempotency", who="pipeline", key="build 1", request=digest(50), job=JOBS[0],
                          created_ms=MS)),
    4: lambda db: insert(db, "event", id=7, at_ms=MS, type="job.succeeded", subject=f"job/{JOBS[0]}", model="dogs",
                         job=JOBS[0], data={"job": JOBS[0]}),
    5: lambda db: insert(db, "api_key", id="k1", name="boss", role="admin",
                         digest=hashlib.sha256(KEY.encode()).digest(), expires_ms=None, rate=None, created_ms=MS, who="someone"),
    6: lambda db: db.execute("UPDATE model SET limits = '{\"threads\":2}'"),
    7: lambda db: (insert(db, "webhook", id="w1", url="https://example.org/x", events="*", model="dogs", job=None,
                          secret="whsec_AAAA", last_event=7, who="someone", created_ms=MS, spent_ms=None),
                   insert(db, "delivery", id=3, webhook="w1", message="event-7", type="job.succeeded", body={"a": 1},
                          state="delivered", attempts=1, next_ms=None, status=200, error=None, created_ms=MS,
                          ended_ms=MS + 1)),
    8: lambda db: insert(db, "schedule", model=1, cron=None, new_pictures=1000, max_age_ms=None, priority=1, next_ms=None,
                         last_ms=MS, last_job=JOBS[1], last_error=None, who="someone", created_ms=MS),
    9: lambda db: (insert(db, "alias_history", id=3, model=1, alias="old", version=2, previous=None, cause="promote",
                          forced=0, reason=None, who="boss", at_ms=MS + 70, decision=None),
                   insert(db, "alias_history", id=4, model=1, alias="old", version=None, previous=2, cause="remove",
                          forced=0, reason=None, who="boss", at_ms=MS + 80, decision=None)),
    10: lambda db: (insert(db, "prediction", seq=9, id="p" * 32, model=1, version=1, label="red", probability=0.75,
                           at_ms=MS, other_version=2, other_label="blü", truth="red", truth_ms=MS, told_by="someone"),
                    insert(db, "rollout", id=2, model=1, state="rolled_back", plan={"steps": [50, 100]}, baseline=1,
                           canary=2, shadow=None, step=0, step_ms=MS, analysis=None, reason="worse", who="boss",
                           created_ms=MS, ended_ms=MS + 9)),
    12: lambda db: (db.execute("UPDATE model SET keep_last = 3"),
                    db.execute("UPDATE version SET purged_ms = ? WHERE number = 2", (MS + 99,))),
}


def make(number):
    db = sqlite3.connect(":memory:")
    for n in range(1, number + 1):
        db.executescript((MIGRATIONS / f"{n:04}.sql").read_text())
    db.execute("PRAGMA foreign_keys = ON")
    first(db)
    for n, more in sorted(MORE.items()):
        if n <= number:
            more(db)
    db.commit()
    assert not db.execute("PRAGMA foreign_key_check").fetchall()
    return "".join(line + "\n" for line in db.iterdump()) + \
        f"PRAGMA application_id = {0x4b454e4c};\nPRAGMA user_version = {number};\n"


if __name__ == "__main__":
    for word in sys.argv[1:]:
        (HERE / f"{int(word):04}.sql").write_text(make(int(word)))
