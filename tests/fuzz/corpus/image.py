"""Makes the first inputs of tests/fuzz/corpus/image with Pillow: image.py FOLDER.

Files that a fuzzer found lie beside them and are kept by name (crash-*, slow-*).
"""
import io
import pathlib
import struct
import sys
import zlib

from PIL import Image

folder = pathlib.Path(sys.argv[1])
folder.mkdir(exist_ok=True)
picture = Image.new("RGB", (41, 26))
picture.putdata([(x * 6 % 256, y * 9 % 256, (x * y) % 256) for y in range(26) for x in range(41)])


def save(name, image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    (folder / name).write_bytes(out.getvalue())


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(name, depth, colour, interlace, rows, *chunks):
    head = struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, interlace)
    (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunks)
                                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


save("rgb.jpg", picture, "JPEG")
save("rgb-444.jpg", picture, "JPEG", subsampling=0)
save("progressive.jpg", picture, "JPEG", progressive=True)
save("grey.jpg", picture.convert("L"), "JPEG")
save("cmyk.jpg", picture.convert("CMYK"), "JPEG")
for orientation in (3, 5, 6, 8):
    save(f"orientation-{orientation}.jpg", picture, "JPEG", exif=exif(orientation))
for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
    grey = picture.convert("L").convert("I") if mode == "I;16" else picture
    save(f"mode-{mode.replace(';', '')}.png", grey.convert("I" if mode == "I;16" else mode), "PNG")
save("orientation-7.png", picture, "PNG", exif=exif(7))
png("interlaced.png", 8, 2, 1, bytes(15 + 64 * 3))
png("grey-16.png", 16, 0, 0, bytes(8 + 128))
png("text.png", 8, 0, 0, bytes(72), chunk(b"tEXt", b"a\0b"),
    chunk(b"zTXt", b"a\0\0" + zlib.compress(b"b" * 99)),
    chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(b"c" * 99)),
    chunk(b"iCCP", b"p\0\0" + zlib.compress(b"d" * 99)), chunk(b"tRNS", b"\0\1"))
png("palette.png", 4, 3, 0, bytes(8 * 5), chunk(b"PLTE", bytes(range(9))), chunk(b"tRNS", b"\1"))
(folder / "gif").write_bytes(b"GIF89a")
