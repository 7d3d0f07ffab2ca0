"""Makes transforms.inc: what torchvision makes of a made-up picture, as CRC-32 of the bytes.

    transforms.py > transforms.inc

Made with torchvision 0.14.1 on Pillow 9.4.0. Byte c of pixel (x, y) of the picture is
(x * 7 + y * 13 + c * 50 + x * y % 17) % 256. The results' bytes are taken row by row, pixel by
pixel.
"""
import binascii

import numpy
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import RandAugment
from torchvision.transforms import functional as F
from torchvision.transforms.autoaugment import _apply_op


def picture(width, height):
    y, x, c = numpy.mgrid[0:height, 0:width, 0:3]
    return Image.fromarray(((x * 7 + y * 13 + c * 50 + x * y % 17) % 256).astype(numpy.uint8))


def crc(image):
    return f"0x{binascii.crc32(numpy.asarray(image).tobytes()):08x}"


print("static const struct golden_colour golden_colours[] = {")
image = picture(61, 47)
for name, function, values in (
        ("brightness", F.adjust_brightness, (0, 0.3, 0.77, 1, 1.4, 2)),
        ("contrast", F.adjust_contrast, (0, 0.3, 0.77, 1, 1.4, 2)),
        ("saturation", F.adjust_saturation, (0, 0.3, 0.77, 1, 1.4, 2)),
        ("hue", F.adjust_hue, (-0.5, -0.21, -0.003, 0, 0.1, 0.37, 0.5)),
        ("sharpness", F.adjust_sharpness, (0, 0.4, 1, 1.9)),
        ("posterize", F.posterize, (0, 3, 8)),
        ("solarize", F.solarize, (0, 100.5, 255)),
        ("autocontrast", lambda i, _: F.autocontrast(i), (0,)),
        ("equalize", lambda i, _: F.equalize(i), (0,))):
    for value in values:
        print(f'    {{ "{name}", {value}, {crc(function(image, value))} }},')
print("};\n\nstatic const struct golden_op golden_ops[] = {")
image = picture(64, 64)
space = RandAugment()._augmentation_space(31, (64, 64))
assert len(space) == 14
for op, (name, (magnitudes, signed)) in enumerate(space.items()):
    for magnitude in (3, 9, 14, 30):
        for negative in (False, True)[:1 + signed]:
            value = float(magnitudes[magnitude]) if magnitudes.ndim else 0.0
            out = _apply_op(image, name, -value if negative else value,
                            InterpolationMode.NEAREST, None)
            print(f"    {{ {op}, {magnitude}, {int(negative)}, {crc(out)} }}, /* {name} */")
print("};\n\nstatic const struct golden_crop golden_crops[] = {")
image = picture(150, 97)
for left, top, width, height, size in (
        (0, 0, 150, 97, 64), (13, 7, 90, 80, 64), (149, 96, 1, 1, 32), (100, 0, 50, 97, 33),
        (5, 90, 140, 7, 48), (60, 40, 20, 20, 64)):
    out = F.resized_crop(image, top, left, height, width, [size, size])
    print(f"    {{ {{ {left}, {top}, {width}, {height} }}, {size}, {crc(out)} }},")
print("};")
