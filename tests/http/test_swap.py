"""Promotions and rollbacks of a network of real size under load. tests/bench/run.sh serve --swaps 1000 is the long
form, with latencies."""
import threading
import unittest

from kennel_test import COLORS, V1, Case, color_files, png, shared, tar
from test_load import PLAIN_BUILD, resident

BACKBONE = shared("backbones", "mobilenet_v2_1.0_224.onnx")
PATH = f"{V1}/models/m/score?top=3"
SWAPS, SETTLED = 24, 4
THREADS = 3


class Swaps(Case):
    def train(self, **recipe):
        recipe["precision"] = "fp32"
        job = self.daemon.wait_job(self.daemon.post(f"{V1}/models/m/retrain", {"recipe": recipe}, 202).json["id"])
        return job["version"]

    def test_memory_stays_flat_and_answers_belong_together(self):
        with open(BACKBONE, "rb") as file:
            self.daemon.post(f"{V1}/backbones?name=b", file.read(), 201)
        self.daemon.post(f"{V1}/datasets", {"name": "d"}, 201)
        self.daemon.post(f"{V1}/datasets/d/import", tar(color_files(8)), 200)
        self.daemon.post(f"{V1}/models", {"name": "m", "dataset": "d", "backbone": "b"}, 201)
        self.train()
        self.daemon.post(f"{V1}/datasets/d/import", tar(color_files(8, {"white": (240, 240, 240)})), 200)
        self.assertEqual(self.train(), 2)
        force = {"version": 1, "force": True, "reason": "back and forth"}
        self.daemon.post(f"{V1}/models/m/promote", force, 200)
        pictures = [png(40, 36, color, 77) for color in COLORS.values()]
        want = {(i, v): self.daemon.post(f"{V1}/models/m/versions/{v}/score?top=3", picture, 200).json["predictions"]
                for i, picture in enumerate(pictures) for v in (1, 2)}
        self.assertNotEqual(want[0, 1], want[0, 2])
        stop, wrong, seen = threading.Event(), [], set()

        def run():
            connection = self.daemon.connect()
            while not stop.is_set():
                for i, picture in enumerate(pictures):
                    reply = self.daemon.request("POST", PATH, picture, connection=connection)
                    version = int(reply.header("X-Kennel-Version") or 0)
                    if reply.status != 200 or reply.json["version"] != version or (
                            reply.json["predictions"] != want[i, version]):
                        wrong.append(reply)
                    seen.add(version)
            connection.close()

        threads = [threading.Thread(target=run) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        memory = []
        try:
            for i in range(SWAPS):
                if i % 2 == 0:
                    self.daemon.post(f"{V1}/models/m/promote", {**force, "version": 2}, 200)
                else:
                    self.daemon.post(f"{V1}/models/m/rollback", None, 200)
                memory.append(resident(self.daemon))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(seen, {1, 2})
        if PLAIN_BUILD:
            self.assertLess(max(memory[SETTLED:]) - max(memory[:SETTLED]), 16 << 20, memory)


if __name__ == "__main__":
    unittest.main()
