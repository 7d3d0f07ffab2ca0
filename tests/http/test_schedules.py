"""Schedules: at times, after new pictures, at an age; made up for once after a restart; what is refused."""
import json
import sqlite3
import subprocess
import time
import unittest

from kennel_test import KENNEL, V1, Case, Daemon, color_files, make_model, png, tar, until


def jobs_of(daemon, model):
    return daemon.get(f"{V1}/jobs?model={model}")["jobs"]


class Schedules(Case):
    def path(self, model):
        return f"{V1}/models/{model}/schedule"

    def put(self, model, body, expect=200):
        return self.daemon.request("PUT", self.path(model), body, {"Content-Type": "application/json"}, expect=expect)

    def test_set_show_remove(self):
        make_model(self.daemon, "plain", train=False)
        self.refused(self.daemon.request("GET", self.path("plain")), 404, "schedule_unknown")
        set_to = self.put("plain", {"cron": "0 3 1 1 *", "new_pictures": 5000, "max_age": "36h", "priority": 3}).json
        self.assertEqual((set_to["cron"], set_to["new_pictures"], set_to["max_age"], set_to["priority"]),
                         ("0 3 1 1 *", 5000, "36h", 3))
        self.assertEqual(set_to, self.daemon.get(self.path("plain")))
        self.assertEqual(set_to["pictures"], 36)
        # The age comes before the first of January, or is at least not later.
        self.assertGreater(set_to["next"], set_to["created"])
        self.assertRegex(self.put("plain", {"cron": "0 3 1 1 *"}).json["next"], r"-01-01T03:00:00\.000Z$")
        self.assertEqual(self.put("plain", {"max_age": "48h"}).json["max_age"], "2d")
        self.daemon.request("DELETE", self.path("plain"), expect=204)
        self.refused(self.daemon.request("DELETE", self.path("plain")), 404, "schedule_unknown")
        self.assertEqual(jobs_of(self.daemon, "plain"), [])

    def test_refusals(self):
        make_model(self.daemon, "strict", train=False)
        self.refused(self.put("strict", {}, None), 400, "field_missing")
        self.refused(self.put("strict", {"cron": "0 25 * * *"}, None), 400, "cron")
        self.refused(self.put("strict", {"cron": "0 0 30 2 *"}, None), 400, "cron")
        self.refused(self.put("strict", {"new_pictures": 0}, None), 400, "field_range")
        for age in ("", "7", "d", "0d", "7w", "-1d", "1.5d", "7d ", "3651d", "99999999d"):
            self.refused(self.put("strict", {"max_age": age}, None), 400, "field_range")
        self.refused(self.put("nobody", {"max_age": "1d"}, None), 404, "model_unknown")
        self.refused(self.daemon.request("GET", self.path("nobody")), 404, "model_unknown")

    def test_after_new_pictures(self):
        make_model(self.daemon, "grows")
        before = len(jobs_of(self.daemon, "grows"))
        self.put("grows", {"new_pictures": 4, "priority": 2})

        def add(i):
            self.daemon.request("PUT", f"{V1}/datasets/grows/images?label=red&split=train", png(9, 9, (200, i, i), i),
                                {"Content-Type": "image/png"}, expect=200)
        for i in range(3):
            add(i)
        self.assertEqual(self.daemon.get(self.path("grows"))["pictures"], 3)
        self.assertEqual(len(jobs_of(self.daemon, "grows")), before)
        add(3)
        job = until(lambda: len(jobs_of(self.daemon, "grows")) > before and jobs_of(self.daemon, "grows")[0])
        self.assertEqual((job["tags"], job["requested_by"], job["priority"]),
                         ({"trigger": "new_pictures"}, "schedule", 2))
        self.daemon.wait_job(job["id"])
        shown = until(lambda: self.daemon.get(self.path("grows"))["last_job"] and self.daemon.get(self.path("grows")))
        self.assertEqual((shown["pictures"], shown["last_job"], shown["last_error"]), (0, job["id"], None))
        self.assertEqual(len(jobs_of(self.daemon, "grows")), before + 1)

    def test_what_cannot_be_trained_is_told(self):
        self.daemon.post(f"{V1}/datasets", {"name": "one"}, 201)
        if self.daemon.request("GET", f"{V1}/models/strict").status == 404:
            make_model(self.daemon, "strict", train=False)
        self.daemon.post(f"{V1}/models", {"name": "one", "dataset": "one", "backbone": "tiny"}, 201)
        self.daemon.post(f"{V1}/datasets/one/import", tar(color_files(3, {"red": (200, 0, 0)})), 200)
        self.put("one", {"new_pictures": 1})
        shown = until(lambda: self.daemon.get(self.path("one"))["last_error"] and self.daemon.get(self.path("one")))
        self.assertIn("at least 2", shown["last_error"])
        self.assertEqual((jobs_of(self.daemon, "one"), shown["last_job"]), ([], None))

    def test_command_line(self):
        make_model(self.daemon, "shell", train=False)
        def kennel(*words):
            run = subprocess.run([KENNEL, "--url", self.daemon.url, "--json", *words], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stderr)
            return json.loads(run.stdout) if run.stdout.strip() else None
        made = kennel("schedule", "set", "shell", "--cron", "0 3 * * mon", "--new-pictures", "500", "--max-age", "7d")
        self.assertEqual((made["cron"], made["new_pictures"], made["max_age"]), ("0 3 * * mon", 500, "7d"))
        self.assertEqual(kennel("schedule", "show", "shell"), made)
        kennel("schedule", "remove", "shell")
        self.refused(self.daemon.request("GET", self.path("shell")), 404, "schedule_unknown")


class Missed(unittest.TestCase):
    def test_made_up_for_once(self):
        first = Daemon()
        make_model(first, "nightly", train=False)
        make_model(first, "aged", train=False)
        headers = {"Content-Type": "application/json"}
        first.request("PUT", f"{V1}/models/nightly/schedule", {"cron": "0 0 1 1 *"}, headers, expect=200)
        first.request("PUT", f"{V1}/models/aged/schedule", {"max_age": "7d"}, headers, expect=200)
        first.stop(keep=True)
        # As if the daemon had been down for three years.
        database = sqlite3.connect(first.state + "/kennel.db")
        past = int(time.time() * 1000) - 3 * 366 * 86400000
        with database:
            database.execute("UPDATE schedule SET created_ms = ?, next_ms = next_ms + ? - ? WHERE cron IS NOT NULL",
                             (past, past, int(time.time() * 1000)))
            database.execute("UPDATE schedule SET created_ms = ? WHERE cron IS NULL", (past,))
        database.close()
        second = Daemon(state=first.state)
        self.addCleanup(second.stop)
        for model, cause in (("nightly", "cron"), ("aged", "max_age")):
            (job,) = until(lambda: jobs_of(second, model))
            self.assertEqual(job["tags"], {"trigger": cause})
            second.wait_job(job["id"])
            shown = until(lambda: second.get(f"{V1}/models/{model}/schedule")["last_job"]
                          and second.get(f"{V1}/models/{model}/schedule"))
            self.assertGreater(shown["next"], job["created"])
            self.assertEqual(len(jobs_of(second, model)), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
