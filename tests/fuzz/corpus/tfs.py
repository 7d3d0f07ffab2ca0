"""Makes the seeds in corpus/tfs: bodies of :predict for a network with an input "input" of [N,3,2,2]."""
import pathlib

FOLDER = pathlib.Path(__file__).parent / "tfs"
TENSOR = b"[[[0,0.5],[1,1e-3]],[[-1,2],[3,4]],[[5,6],[7,8]]]"
SEEDS = {
    "row": b'{"signature_name":"serving_default","instances":[{"b64":"YWJj"},{"b64":"ZGU="}]}',
    "row_named": b'{"instances":[{"image_bytes":{"b64":"YWJj"}}]}',
    "columnar": b'{"inputs":[{"b64":"YWJj"}]}',
    "columnar_named": b'{"inputs":{"image_bytes":[{"b64":"YWJj"}]}}',
    "tensors": b'{"signature_name":"serving_tensor","instances":[' + TENSOR + b"," + TENSOR + b"]}",
    "tensors_named": b'{"instances":[{"input":' + TENSOR + b"}]}",
    "tensors_columnar": b'{"inputs":{"input":[' + TENSOR + b"]}}",
    "flat": b'{"instances":[[1,2,3,4,5,6,7,8,9,10,11,12]]}',
    "mixed": b'{"instances":[' + TENSOR + b',{"b64":"YWJj"}]}',
    "documentation": b'{"instances":[{"tag":"foo","signal":[1,2,3,4,5],"sensor":[[1,2],[3,4]]}]}',
    "scalars": b'{"instances":[1.0,2.0,5.0]}',
    "both": b'{"instances":[],"inputs":{}}',
    "cut": b'{"instances":[{"b64":"YWJj',
    "many": b'{"instances":[' + b",".join([b'{"b64":"YQ=="}'] * 65) + b"]}",
}

FOLDER.mkdir(exist_ok=True)
for name, data in SEEDS.items():
    (FOLDER / name).write_bytes(data)
