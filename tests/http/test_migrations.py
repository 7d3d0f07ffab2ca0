"""Databases of every earlier schema, kept as they were (tests/kept), opened by the present program: what was in them is
in them still, and one of a newer program is left alone."""
import glob
import os
import shutil
import sqlite3
import tempfile
import unittest

from kennel_test import HERE, V1, Daemon

KEPT = sorted(glob.glob(os.path.join(HERE, "..", "kept", "[0-9]*.sql")))
MIGRATIONS = sorted(glob.glob(os.path.join(HERE, "..", "..", "daemon", "migrations", "*.sql")))
LATEST = len(MIGRATIONS)
KEY = {"Authorization": "Bearer kept"}


def content(db, tables=None):
    """{table: (columns, rows)}; of other databases' columns when tables is such a dictionary."""
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = {}
    for name in tables or names:
        columns = tables[name][0] if tables else [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
        found[name] = (columns, sorted(map(repr, db.execute(f"SELECT {', '.join(columns)} FROM {name}"))))
    return found


class Migrations(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kennel-kept-")
        self.addCleanup(shutil.rmtree, self.folder)

    def open_kept(self, path):
        state = os.path.join(self.folder, os.path.basename(path))
        os.makedirs(state)
        db = sqlite3.connect(os.path.join(state, "kennel.db"))
        with open(path) as file:
            db.executescript(file.read())
        return state, db

    def test_each_number_is_kept(self):
        numbers = [int(os.path.basename(path)[:4]) for path in KEPT]
        self.assertEqual(numbers, list(range(1, LATEST + 1)))

    def test_content_stays(self):
        for path in KEPT:
            with self.subTest(path=os.path.basename(path)):
                state, db = self.open_kept(path)
                before = content(db)
                self.assertGreaterEqual(len(before["version"][1]), 2)
                db.close()
                daemon = Daemon(state=state)
                self.addCleanup(shutil.rmtree, daemon.folder)
                get = lambda path: daemon.request("GET", V1 + path, headers=KEY, expect=200).json
                model = get("/models/dogs")
                self.assertEqual((model["production"], model["versions"]), (1, 2))
                versions = get("/models/dogs/versions")["versions"]
                self.assertEqual([(v["version"], v["gate"]["passed"]) for v in versions], [(2, False), (1, True)])
                self.assertEqual(get("/datasets/dogs/versions/1")["rejected_count"], 1)
                self.assertEqual(len(get("/jobs")["jobs"]), 3)
                history = get("/models/dogs/promotions")["promotions"]
                self.assertEqual([h["version"] for h in history if h["alias"] == "production"], [1, 2])
                links = get(f"/lineage?of=picture/{'01' * 32}")["to"]
                self.assertIn("model/dogs/versions/1", [one["of"] for one in links])
                daemon.stop(keep=True)

                db = sqlite3.connect(os.path.join(state, "kennel.db"))
                self.assertEqual(db.execute("PRAGMA user_version").fetchone(), (LATEST,))
                self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
                self.assertEqual(db.execute("PRAGMA foreign_key_check").fetchall(), [])
                after = content(db, before)
                # A start may write what happened; it changes nothing of what was.
                for name, (columns, rows) in before.items():
                    self.assertEqual([row for row in rows if row not in after[name][1]], [], name)
                # And the schema is that of a new database.
                new = Daemon()
                self.addCleanup(shutil.rmtree, new.folder)
                new.stop(keep=True)
                fresh = sqlite3.connect(os.path.join(new.state, "kennel.db"))
                schema = "SELECT type, name, replace(sql, '\"', '') FROM sqlite_schema ORDER BY 1, 2"
                self.assertEqual(db.execute(schema).fetchall(), fresh.execute(schema).fetchall())
                fresh.close()
                db.close()

    def test_a_newer_one_is_left_alone(self):
        state, db = self.open_kept(KEPT[-1])
        db.execute(f"PRAGMA user_version = {LATEST + 1}")
        db.close()
        path = os.path.join(state, "kennel.db")
        with self.assertRaises(RuntimeError) as refused:
            Daemon(state=state)
        self.assertIn(f"schema {LATEST + 1}, this program knows up to {LATEST}", str(refused.exception))
        db = sqlite3.connect(path)
        self.assertEqual(db.execute("PRAGMA user_version").fetchone(), (LATEST + 1,))
        self.assertEqual(len(db.execute("SELECT * FROM version").fetchall()), 2)
        db.close()


if __name__ == "__main__":
    unittest.main()
