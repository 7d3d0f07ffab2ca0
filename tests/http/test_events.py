"""Events: what the log has, streams that resume without loss, slow and absent readers, the end of a stream."""
import itertools
import json
import socket
import subprocess
import threading
import unittest

from kennel_test import KENNEL, V1, Case, Daemon, make_model, png, until


class Stream:
    """One reader of server-sent events, as the HTML Standard parses them."""

    def __init__(self, daemon, path, last=None, buffer=None):
        self.connection = daemon.connect(30)
        if buffer:
            self.connection.sock = socket.socket()
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            self.connection.sock.settimeout(30)
            self.connection.sock.connect(("127.0.0.1", daemon.port))
        self.connection.request("GET", path, headers={"Last-Event-ID": str(last)} if last is not None else {})
        self.reply = self.connection.getresponse()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def __iter__(self):
        fields = {}
        for line in self.reply:
            line = line.decode().rstrip("\n")
            if not line and "data" in fields:
                event = json.loads(fields["data"])
                if "id" in fields:
                    assert event["id"] == int(fields["id"])
                assert event["type"] == fields["event"]
                yield event
            if not line:
                fields = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value


def open_stream(daemon, path):
    """Waits for the places of streams whose readers have gone: the server notices at its next write."""
    stream = Stream(daemon, path)
    if stream.reply.status == 503:
        stream.connection.close()
        return None
    return stream


def past(daemon, query="", last=0):
    path = f"{V1}/events?follow=false&last_event_id={last}{query}"
    with until(lambda: open_stream(daemon, path)) as stream:
        assert stream.reply.status == 200, stream.reply.read()
        assert stream.reply.getheader("Content-Type") == "text/event-stream"
        return list(stream)


class Events(Case):
    options = ("--max-event-streams", "4")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.job = make_model(cls.daemon)
        make_model(cls.daemon, "other", train=False)

    def put_pictures(self, count, start):
        for i in range(start, start + count):
            self.daemon.request("PUT", f"{V1}/datasets/other/images?label=red&split=train",
                                png(8, 8, (i, 255 - i, i), i), {"Content-Type": "image/png"}, expect=200)

    def test_the_way_of_a_model(self):
        events = [e for e in past(self.daemon, "&model=colors") if e["data"].get("version") != 2][:6]
        self.assertEqual([e["type"] for e in events],
                         ["job.queued", "job.started", "version.created", "gate.decided", "job.succeeded",
                          "alias.changed"])
        self.assertEqual(events[4]["subject"], f"job/{self.job['id']}")
        self.assertEqual(events[4]["data"], {
            "job": self.job["id"], "model": "colors", "state": "succeeded", "attempt": 1, "dataset_version": 1,
            "version": 1, "error": None})
        version = self.daemon.get(f"{V1}/models/colors/versions/1")
        self.assertEqual(events[2]["data"]["digest"], version["digest"])
        self.assertTrue(events[3]["data"]["passed"])
        self.assertEqual(events[3]["data"]["gate"]["holdout"], version["gate"]["holdout"])
        self.assertEqual(events[5]["data"]["cause"], "promote")
        self.assertEqual((events[5]["data"]["version"], events[5]["data"]["previous"]), (1, None))
        ids = [e["id"] for e in past(self.daemon)]
        self.assertEqual(ids, sorted(set(ids)))

    def test_filters(self):
        # Of the other tests' jobs.
        ended = {e["type"] for e in past(self.daemon, "&type=job.rejected")}
        self.assertEqual({e["type"] for e in past(self.daemon, "&type=job.*,alias.changed&model=colors")},
                         {"job.queued", "job.started", "job.succeeded", "alias.changed"} | ended)
        self.assertEqual(len(past(self.daemon, "&type=*")), len(past(self.daemon)))
        for query in ("type=job", "type=job.ended", "type=", "type=jo.*", "type=job.*,", "follow=1",
                      "last_event_id=-1", "last_event_id=x"):
            self.refused(self.daemon.request("GET", f"{V1}/events?{query}"), 400, "field_range")
        self.refused(self.daemon.request("GET", f"{V1}/events", headers={"Last-Event-ID": "x"}), 400, "field_range")
        self.refused(self.daemon.request("GET", f"{V1}/events?model=nobody"), 404, "model_unknown")
        self.refused(self.daemon.request("GET", f"{V1}/jobs/nobody/events"), 404, "job_unknown")

    def test_a_job_from_queued_to_its_end(self):
        job = self.daemon.post(f"{V1}/models/colors/retrain", {"seed": 5, "coalesce": False}, 202).json["id"]
        with Stream(self.daemon, f"{V1}/jobs/{job}/events") as stream:
            events = list(stream)
        kept = [e["type"] for e in events if "id" in e]
        self.assertEqual(kept[:2], ["job.queued", "job.started"])
        self.assertIn(kept[-1], ("job.succeeded", "job.rejected"))
        self.assertTrue(all(e["data"]["job"] == job for e in events))
        # All again, and only what is left.
        again = self.daemon.request("GET", f"{V1}/jobs/{job}/events", expect=200).body.decode()
        self.assertEqual(again.count("\nid: "), len(kept))
        self.assertEqual(kept[2:], [e["type"] for e in Stream(self.daemon, f"{V1}/jobs/{job}/events",
                                                               [e for e in events if "id" in e][1]["id"])])

    def test_resume_loses_nothing(self):
        before = past(self.daemon)[-1]["id"]
        feeder = threading.Thread(target=self.put_pictures, args=(60, 0))
        feeder.start()
        seen, last = [], before
        while len(seen) < 60:
            # A reader that goes away after every few events and comes again.
            with Stream(self.daemon, f"{V1}/events?type=dataset.changed", last) as stream:
                for event in itertools.islice(stream, 7):
                    seen.append(event["data"]["version"])
                    last = event["id"]
                    if len(seen) == 60:
                        break
        feeder.join()
        self.assertEqual(seen, list(range(seen[0], seen[0] + 60)))

    def test_a_slow_reader_does_no_harm(self):
        start = past(self.daemon)[-1]["id"]
        slow = Stream(self.daemon, f"{V1}/events?last_event_id=0", buffer=2048)
        with Stream(self.daemon, f"{V1}/events", start) as fast:
            self.put_pictures(100, 100)
            got = list(itertools.islice(fast, 100))
        self.assertEqual(len(got), 100)
        self.assertTrue(self.daemon.healthy())
        # It misses nothing either.
        everything = [e["id"] for e in past(self.daemon)]
        ids = []
        for event in slow:
            ids.append(event["id"])
            if event["id"] >= everything[-1]:
                break
        slow.connection.close()
        self.assertEqual(ids, everything)

    def test_at_most_so_many(self):
        until(lambda: self.daemon.request("GET", f"{V1}/events?follow=false").status == 200)
        streams = [Stream(self.daemon, f"{V1}/events") for _ in range(4)]
        refused = self.daemon.request("GET", f"{V1}/events")
        self.refused(refused, 503, "busy")
        self.assertTrue(refused.header("Retry-After"))
        for stream in streams:
            stream.connection.close()
        # Their places come back once something is written to them.
        numbers = iter(range(20, 90))
        def free():
            self.put_pictures(1, next(numbers) + 150)
            return self.daemon.request("GET", f"{V1}/events?follow=false").status == 200
        until(free)
        for _ in range(3):
            self.put_pictures(1, next(numbers) + 150)

    def test_command_line(self):
        run = subprocess.run([KENNEL, "--url", self.daemon.url, "events", "--type", "alias.changed"],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn(" alias.changed model/colors ", run.stdout)
        run = subprocess.run([KENNEL, "--url", self.daemon.url, "--json", "events", "--job", self.job["id"]],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual([json.loads(line)["type"] for line in run.stdout.splitlines()][-1], "job.succeeded")
        run = subprocess.run([KENNEL, "--url", self.daemon.url, "events", "--type", "nothing"],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 4)
        self.assertIn("nothing", run.stderr)


class Restart(unittest.TestCase):
    def test_a_stop_ends_streams_and_a_start_resumes(self):
        first = Daemon()
        make_model(first, train=False)
        stream = Stream(first, f"{V1}/events", 0)
        events = iter(stream)
        last = next(events)["id"]
        first.stop(keep=True)
        self.assertEqual(list(events), [])
        stream.connection.close()
        second = Daemon(state=first.state)
        self.addCleanup(second.stop)
        second.post(f"{V1}/models/colors/retrain", {}, 202)
        with Stream(second, f"{V1}/events", last) as stream:
            self.assertEqual(next(iter(stream))["type"], "job.queued")


if __name__ == "__main__":
    unittest.main(verbosity=2)
