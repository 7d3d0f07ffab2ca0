"""Odd JPEGs by import: each is taken, or quarantined with its reason; none harms the daemon or the import.
Skipped without KENNEL_SHARED."""
import os
import unittest

from kennel_test import V1, Case, png, shared, tar

ODD = shared("datasets", "odd-jpegs")

# What Pillow refuses as well, but for the GIF, and why. Everything else is taken.
REFUSED = {
    "README.md": "picture_format",
    "imageNotFound.gif": "picture_format",
    "jpeg_lossless_sel1-8bit.jpg": "picture_unsupported",
    "monkey12.jpg": "picture_unsupported",
    "missing-sof.jpg": "picture_truncated",
    "null_height.jpg": "picture_corrupt",
    "truncated_jpeg.jpg": "picture_truncated",
}


class OddPictures(Case):
    def test_import(self):
        files = {}
        for name in sorted(os.listdir(ODD)):
            with open(os.path.join(ODD, name), "rb") as file:
                files[f"odd/{name}"] = file.read()
        files["good/a.png"] = png(40, 36, (200, 60, 50))
        self.daemon.post(f"{V1}/datasets", {"name": "odd"}, 201)
        report = self.daemon.post(f"{V1}/datasets/odd/import", tar(files), 200).json
        rejected = {r["path"].removeprefix("odd/"): r for r in report["rejected"]}
        self.assertEqual(report["added"] + report["duplicates"] + report["rejected_count"], len(files))
        self.assertEqual({name: r["code"] for name, r in rejected.items()}, REFUSED)
        for one in rejected.values():
            self.assertTrue(one["reason"], one)
        self.assertTrue(self.daemon.healthy())
        version = self.daemon.get(f"{V1}/datasets/odd/versions/1")
        self.assertEqual(version["pictures"], report["added"])
        self.assertEqual(len(version["rejected"]), report["rejected_count"])

    def test_put_gives_the_same_verdict(self):
        self.daemon.post(f"{V1}/datasets", {"name": "single"}, 201)
        for name in sorted(os.listdir(ODD)):
            with open(os.path.join(ODD, name), "rb") as file:
                reply = self.daemon.request("PUT", f"{V1}/datasets/single/images?label=odd", file.read())
            if name in REFUSED:
                self.refused(reply, 422, REFUSED[name])
            else:
                self.assertEqual(reply.status, 200, (name, reply))
            self.assertTrue(self.daemon.healthy())


if __name__ == "__main__":
    unittest.main()
