"""Makes pillow.json: what Pillow and torchvision make of real pictures.

    pillow.py SHARED > pillow.json

SHARED holds datasets/{stanford-dogs-3,hymenoptera}.tar and datasets/odd-jpegs. Made with Pillow
9.4.0, libjpeg-turbo 2.1.5 and torchvision 0.14.1. Each picture: opened, exif_transpose(),
convert("RGB"), Resize(resize), CenterCrop(size). Kept are the means of the channels and the pixels
at (step / 2 + i * step, step / 2 + j * step), step = size / 16, row by row, in hex.
"formula" holds the CRC-32 of whole crops of made-up pictures: byte c of pixel (x, y) is
(x * 7 + y * 13 + c * 50 + x * y % 17) % 256.
"""
import binascii
import io
import json
import pathlib
import sys
import tarfile
import warnings

import numpy
from PIL import Image, ImageOps
from torchvision.transforms import CenterCrop, Compose, Resize

warnings.simplefilter("ignore")
datasets = pathlib.Path(sys.argv[1]) / "datasets"
SETTINGS = [(224, 256), (112, 128)]


def crop(image, size, resize):
    return numpy.asarray(Compose([Resize(resize), CenterCrop(size)])(image))


def open_rgb(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    if image.format not in ("JPEG", "MPO", "PNG"):
        raise ValueError("neither JPEG nor PNG")
    return ImageOps.exif_transpose(image).convert("RGB")


def describe(archive, name, data):
    entry = {"archive": archive, "name": name}
    try:
        image = open_rgb(data)
    except Exception as error:
        return entry | {"refused": str(error).split(" <_io")[0]}
    entry |= {"width": image.width, "height": image.height, "crops": []}
    for size, resize in SETTINGS:
        pixels = crop(image, size, resize)
        step = size // 16
        samples = pixels[step // 2::step, step // 2::step]
        entry["crops"].append({"size": size, "resize": resize,
                               "mean": pixels.mean((0, 1)).round(4).tolist(),
                               "pixels": binascii.hexlify(samples.tobytes()).decode()})
    return entry


def members(archive, choose):
    with tarfile.open(datasets / archive) as tar:
        files = [(m.name, tar.extractfile(m).read()) for m in tar.getmembers() if m.isfile()]
    return [describe(archive, name, data) for name, data in choose(files)]


def area(file):
    width, height = Image.open(io.BytesIO(file[1])).size
    return width * height


def formula(width, height, size, resize):
    y, x, c = numpy.mgrid[0:height, 0:width, 0:3]
    image = Image.fromarray(((x * 7 + y * 13 + c * 50 + x * y % 17) % 256).astype(numpy.uint8))
    return {"width": width, "height": height, "size": size, "resize": resize,
            "crc32": binascii.crc32(crop(image, size, resize).tobytes())}


odd = sorted(p for p in (datasets / "odd-jpegs").iterdir() if p.suffix != ".md")
json.dump({
    "formula": [formula(*f) for f in (
        (50, 40, 32, 36), (40, 50, 32, 37), (33, 97, 32, 32), (500, 375, 224, 256),
        (375, 500, 224, 256), (224, 224, 224, 256), (256, 256, 224, 256), (300, 257, 224, 224),
        (1, 1, 32, 33), (1, 200, 32, 36), (200, 1, 35, 36), (1203, 907, 100, 117),
        (640, 480, 299, 342), (17, 900, 60, 61))],
    "pictures": members("stanford-dogs-3.tar", lambda files: files[::len(files) // 8][:8])
    + members("hymenoptera.tar", lambda files: sorted(files, key=area)[-4:])
    + [describe("odd-jpegs", p.name, p.read_bytes()) for p in odd],
}, sys.stdout, indent=0)
print()
