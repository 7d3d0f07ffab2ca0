"""Makes the seeds in corpus/oip: the content coding, Inference-Header-Content-Length, the body; for a network with
an input "input" of [N,3,2,2] and pictures of at most 1000 bytes."""

import sys

sys.path.pop(0)  # this folder has a json.py of its own
import base64
import gzip
import json
import pathlib
import struct
import zlib

FOLDER = pathlib.Path(__file__).parent / "oip"
FLOATS = [i / 8 for i in range(12)]


def seed(name, request, binary=None, coding="", length=None):
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    length = length if length is not None else str(len(body)) if binary is not None else ""
    body += binary or b""
    pack = {"": lambda b: b, "gzip": gzip.compress, "deflate": zlib.compress}[coding]
    (FOLDER / name).write_bytes(f"{coding}\n{length}\n".encode() + pack(body))


def pictures(count, size=None, **more):
    return {"name": "image_bytes", "shape": [count], "datatype": "BYTES", **more,
            **({"parameters": {"binary_data_size": size}} if size is not None else {})}


def floats(count=1, **more):
    return {"name": "input", "shape": [count, 3, 2, 2], "datatype": "FP32", **more}


FOLDER.mkdir(exist_ok=True)
TWO = struct.pack("<I", 3) + b"abc" + struct.pack("<I", 2) + b"de"
RAW = struct.pack("<12f", *FLOATS)
ALL = {"parameters": {"binary_data_output": True}}
seed("binary_bytes", {"inputs": [pictures(2, len(TWO))], **ALL}, TWO)
seed("binary_fp32", {"inputs": [floats(parameters={"binary_data_size": 48})], **ALL}, RAW)
seed("binary_gzip", {"inputs": [pictures(2, len(TWO))], **ALL}, TWO, "gzip")
seed("binary_deflate", {"inputs": [floats(2, parameters={"binary_data_size": 96})]}, RAW * 2, "deflate")
seed("json_bytes", {"id": "42", "inputs": [pictures(1, data=[base64.b64encode(b"abc").decode()])]})
seed("json_flat", {"inputs": [floats(data=FLOATS)], "outputs": [
    {"name": "probabilities", "parameters": {"classification": 2, "binary_data": True}}]})
seed("json_nested", {"inputs": [floats(data=[[[FLOATS[i * 4 + j * 2:i * 4 + j * 2 + 2] for j in range(2)]
                                              for i in range(3)]])]})
seed("length_past_the_end", {"inputs": [pictures(1, 4)]}, struct.pack("<I", 0xffffffff))
seed("element_cut", {"inputs": [pictures(2, 5)]}, TWO[:5])
seed("too_much", {"inputs": [pictures(1, len(TWO))]}, TWO)
seed("shape_overflow", {"inputs": [pictures(1 << 62, 4)]}, b"\0\0\0\0")
seed("shape_negative", {"inputs": [pictures(-1, 4)]}, b"\0\0\0\0")
seed("size_negative", {"inputs": [pictures(1, -4)]}, b"\0\0\0\0")
seed("header_too_long", {"inputs": []}, length="99999")
seed("header_cuts_json", {"inputs": [pictures(1, 4)]}, b"", length="10")
seed("timeout", {"inputs": [pictures(1, 4)], "parameters": {"timeout": 5}}, b"\0\0\0\0")
seed("bomb", b" " * 100000, coding="gzip")
seed("not_gzip", b"")
(FOLDER / "gzip_cut").write_bytes(b"gzip\n\n" + gzip.compress(b'{"inputs":[]}')[:-3])
