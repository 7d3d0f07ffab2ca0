"""`kennel watch`: what is open and what happens, on a terminal, in a pipe and as JSON."""
import json
import os
import pty
import re
import signal
import subprocess
import unittest

from kennel_test import KENNEL, V1, Case, make_model, until


class Watch(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon)
        cls.env = dict(os.environ, KENNEL_URL=cls.daemon.url, TERM="xterm")

    def retrain(self, **request):
        return self.daemon.post(f"{V1}/models/colors/retrain", request, 202).json["id"]

    def test_once(self):
        text = subprocess.run([KENNEL, "watch", "--once"], capture_output=True, text=True, env=self.env, timeout=60)
        self.assertEqual(text.returncode, 0, text)
        self.assertRegex(text.stdout, r"^jobs: \d+\n")
        self.assertNotIn("\033", text.stdout)
        state = subprocess.run([KENNEL, "watch", "--once", "--json"], capture_output=True, text=True, env=self.env,
                               timeout=60)
        self.assertEqual(set(json.loads(state.stdout)), {"jobs", "rollouts"})

    def test_events_follow_in_a_pipe(self):
        for words, wanted in (((), r"job\.started +job/{job}"), (("--json",), r'^\{{.*"job\.started".*{job}')):
            with subprocess.Popen([KENNEL, "watch", *words], stdout=subprocess.PIPE, text=True, env=self.env) as run:
                self.addCleanup(run.kill)
                first = run.stdout.readline()
                self.assertTrue(json.loads(first)["jobs"] is not None if words else first.startswith("jobs: "), first)
                job = self.retrain(seed=len(words) + 10)
                for line in run.stdout:
                    if re.search(wanted.format(job=job), line):
                        break
                else:
                    self.fail("the event does not come")
                run.send_signal(signal.SIGINT)
                run.stdout.read()
                self.assertEqual(run.wait(60), 0)
            self.daemon.wait_job(job)

    def test_terminal(self):
        ours, theirs = pty.openpty()
        with subprocess.Popen([KENNEL, "watch"], stdout=theirs, env=self.env) as run:
            self.addCleanup(run.kill)
            os.close(theirs)
            seen = b""
            job = self.retrain(seed=20)
            while f"job.started          job/{job}".encode() not in seen:
                seen += os.read(ours, 65536)
            run.send_signal(signal.SIGTERM)
            while b"\033[?1049l" not in seen: # the screen that was there before
                seen += os.read(ours, 65536)
            self.assertEqual(run.wait(60), 0)
        os.close(ours)
        self.assertIn(b"\033[?1049h", seen)
        self.assertIn(b"rollouts: 0\033[K", seen)
        self.daemon.wait_job(job)

    def test_a_rollout_is_shown(self):
        job = self.daemon.wait_job(self.retrain(seed=30))
        self.daemon.request("PUT", f"{V1}/models/colors/rollout",
                            json.dumps({"shadow": {"version": job["version"]}}), expect=200)
        def shown():
            return subprocess.run([KENNEL, "watch", "--once", "--model", "colors"], capture_output=True, text=True,
                                  env=self.env, timeout=60).stdout
        until(lambda: re.search(rf"colors +running +version {job['version']} in the shadow", shown()))
        self.daemon.request("DELETE", f"{V1}/models/colors/rollout", expect=200)

    def test_failures(self):
        env = dict(self.env, KENNEL_URL="http://127.0.0.1:1")
        run = subprocess.run([KENNEL, "watch", "--once"], capture_output=True, text=True, env=env, timeout=60)
        self.assertEqual(run.returncode, 5)
        run = subprocess.run([KENNEL, "watch", "--twice"], capture_output=True, text=True, env=self.env, timeout=60)
        self.assertEqual(run.returncode, 2)


if __name__ == "__main__":
    unittest.main()
