"""TensorFlow Serving's REST interface with a tiny network: the forms of its documentation, row and columnar, and
one picture's answer to the last bit through every protocol that there is."""
import base64
import json
import struct
import unittest

from kennel_test import PRISM, V1, Case, make_model, png

PICTURES = [png(41, 37, color, 77) for color in ((198, 62, 52), (62, 185, 72), (52, 72, 205))]
B64 = [{"b64": base64.b64encode(p).decode()} for p in PICTURES]
MODEL = "/v1/models/colors"
SIZE = 32


def tensor_of(color, seed):
    """What preprocessing makes of png(41, 37, color, seed), as [3][SIZE][SIZE]: the shorter side is 37 already, so
    the centre is cut out and (x - mean) / std follows. mean and std of tiny.onnx."""
    def value(c, y, x):
        return (max(0, min(255, c + (x * 7 + y * 13 + seed * 31) % 41 - 20)) - 127.5) / 127.5
    return [[[value(c, y, x) for x in range(4, 4 + SIZE)] for y in range(2, 2 + SIZE)] for c in color]


TENSOR = tensor_of((198, 62, 52), 77)


class Predict(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, "colors")
        cls.wanted = []
        for picture in PICTURES:
            got = cls.daemon.post(f"{V1}/models/colors/score?top=3", picture, 200).json["predictions"]
            cls.wanted.append([p["probability"] for p in sorted(got, key=lambda p: p["label"])])

    def predict(self, body, path=MODEL + ":predict", expect=200):
        return self.daemon.post(path, body, expect)

    def refused(self, reply, status, code, words=""):
        self.assertEqual((reply.status, reply.code), (status, code), reply)
        self.assertEqual(list(reply.json), ["error"])
        self.assertIn(words, reply.json["error"])

    def test_row_form(self):
        for instances in (B64, [{"image_bytes": b} for b in B64]):
            for signature in ({}, {"signature_name": "serving_default"}, {"signature_name": ""}, {"unknown": 1}):
                got = self.predict({"instances": instances, **signature}).json
                self.assertEqual(got, {"predictions": self.wanted})

    def test_columnar_form(self):
        for inputs in (B64, {"image_bytes": B64}):
            self.assertEqual(self.predict({"inputs": inputs}).json, {"outputs": self.wanted})

    @unittest.skipIf(PRISM, "the proxy writes JSON anew")
    def test_bytes_of_the_answer(self):
        text = self.predict({"instances": B64[:1]}).body.decode()
        self.assertEqual(text, '{\n    "predictions": [[%s]]\n}\n' % ", ".join(map(repr, self.wanted[0])))

    def test_tensors(self):
        for body, key in (({"instances": [TENSOR]}, "predictions"), ({"instances": [{"input": TENSOR}]}, "predictions"),
                          ({"inputs": [TENSOR]}, "outputs"), ({"inputs": {"input": [TENSOR]}}, "outputs"),
                          ({"signature_name": "serving_tensor", "instances": [TENSOR]}, "predictions")):
            self.assertEqual(self.predict(body).json, {key: self.wanted[:1]})

    def test_versions_and_labels(self):
        for place in ("/versions/1", "/labels/production"):
            self.assertEqual(self.predict({"instances": B64}, MODEL + place + ":predict").json,
                             {"predictions": self.wanted})
        for place in ("/versions/2", "/versions/x", "/versions/0", "/labels/nope"):
            self.refused(self.predict({"instances": B64}, MODEL + place + ":predict", None), 404, "version_unknown")
        self.refused(self.predict({"instances": B64}, "/v1/models/nope:predict", None), 404, "model_unknown", "nope")
        self.refused(self.predict({"instances": B64}, "/v1/models/nope/labels/production:predict", None), 404,
                     "model_unknown", "nope")

    def test_status(self):
        row = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        for place in ("", "/versions/1", "/labels/production"):
            self.assertEqual(self.daemon.get(MODEL + place), {"model_version_status": [row]})
        for path in ("/v1/models/nope", MODEL + "/versions/9", MODEL + "/labels/nope"):
            self.assertEqual(self.daemon.request("GET", path, expect=404).code,
                             "model_unknown" if "nope" in path and "labels" not in path else "version_unknown")

    def test_metadata(self):
        for place in ("", "/versions/1", "/labels/production"):
            got = self.daemon.get(MODEL + place + "/metadata")
            self.assertEqual(got["model_spec"], {"name": "colors", "signature_name": "", "version": "1"})
            signatures = got["metadata"]["signature_def"]["signature_def"]
            self.assertEqual(list(signatures), ["serving_default", "serving_tensor"])
            pictures, tensors = signatures.values()
            self.assertEqual(pictures["inputs"], {"image_bytes": {
                "dtype": "DT_STRING", "name": "image_bytes",
                "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}}})
            self.assertEqual([d["size"] for d in tensors["inputs"]["input"]["tensor_shape"]["dim"]],
                             ["-1", "3", "32", "32"])
            for signature in signatures.values():
                self.assertEqual([d["size"] for d in signature["outputs"]["probabilities"]["tensor_shape"]["dim"]],
                                 ["-1", "3"])

    def test_classify_and_regress(self):
        for place in ("", "/versions/1", "/labels/production"):
            for method in ("classify", "regress"):
                reply = self.daemon.post(f"{MODEL}{place}:{method}", {"examples": [{"x": 1.0}]})
                self.refused(reply, 400, "tensor_unknown", f"tensorflow/serving/{method}. It was:")

    def test_refusals(self):
        # The documentation's own examples are of other models' inputs.
        for body, code in (({"instances": ["foo", "bar", "baz"]}, "tensor_data"),
                           ({"instances": [[[1, 2]], [[3, 4]]]}, "tensor_shape"),
                           ({"instances": [{"tag": "foo", "signal": [1], "sensor": [[1]]}]}, "tensor_unknown"),
                           ({"inputs": {"tag": ["foo"], "signal": [[1]]}}, "tensor_unknown"),
                           ({"instances": [1.0, 2.0, 5.0]}, "tensor_data"),
                           ({"instances": []}, "tensor_shape"), ({"inputs": []}, "tensor_shape"),
                           ({"instances": {}}, "tensor_shape"), ({"inputs": "x"}, "tensor_shape"),
                           ({"inputs": B64[0]}, "tensor_shape"), ({"inputs": {}}, "tensor_unknown"),
                           ({"instances": [{}]}, "tensor_unknown"),
                           ({"instances": [B64[0], TENSOR]}, "tensor_data"),
                           ({"instances": [TENSOR, B64[0]]}, "tensor_data"),
                           ({"instances": [{"b64": 7}]}, "tensor_data"), ({"instances": [{"b64": ""}]}, "body_missing"),
                           ({"instances": [{"b64": "%%%"}]}, "base64_syntax"),
                           ({"instances": [{"image_bytes": "x"}]}, "tensor_data"),
                           ({"inputs": [{"image_bytes": B64[0]}]}, "tensor_data"),
                           ({"instances": B64, "inputs": B64}, "field_missing"), ({}, "field_missing"),
                           ({"instances": B64, "signature_name": "nope"}, "tensor_unknown"),
                           ({"instances": B64, "signature_name": 7}, "json_type"),
                           ({"instances": B64, "signature_name": "serving_tensor"}, "tensor_data"),
                           ({"instances": [TENSOR], "signature_name": "serving_default"}, "tensor_data"),
                           ({"instances": [TENSOR[:2]]}, "tensor_shape"), ([], "json_type"), ("", "body_missing"),
                           ({"instances": [[[7]] + TENSOR[1:]]}, "tensor_shape"), ("{", "json_syntax")):
            self.refused(self.predict(body, expect=None), 400, code)
        self.refused(self.predict({"instances": [B64[0], {"b64": base64.b64encode(b"x" * 99).decode()}]}, expect=None),
                     400, "picture_format", "picture 1:")

    def test_limits(self):
        self.assertEqual(len(self.predict({"instances": B64[:1] * 64}).json["predictions"]), 64)
        self.refused(self.predict({"instances": B64[:1] * 65}, expect=None), 413, "batch_too_large")
        self.refused(self.predict('{"instances":[' + "7," * (2 << 20) + "7]}", expect=None), 413, "json_values")
        self.refused(self.predict('{"instances":' + "[" * 32 + "]" * 32 + "}", expect=None), 400, "json_depth")

    def test_packed_bodies(self):
        import gzip
        body = gzip.compress(json.dumps({"instances": B64}).encode())
        got = self.daemon.post(MODEL + ":predict", body, 200, {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"})
        self.assertEqual(got.json, {"predictions": self.wanted})


class EveryProtocol(Case):
    """One picture, one answer: in text it is the shortest decimal of a float32, in binary the float32."""

    def test_to_the_last_bit(self):
        make_model(self.daemon, "colors")
        post, name = self.daemon.post, "colors"
        raw = struct.pack(f"<{3 * SIZE * SIZE}f", *[v for plane in TENSOR for row in plane for v in row])
        predictions = post(f"{V1}/models/{name}/score", PICTURES[0], 200).json["predictions"]
        best = predictions[0]
        want = [p["probability"] for p in sorted(predictions, key=lambda p: p["label"])]
        bits = struct.pack("<3f", *want)
        # The text loses nothing: it is what the bits say.
        self.assertEqual([float(repr(v)) for v in want], want)

        workshop = {"label": best["label"], "probability": repr(best["probability"])}
        for path in ("/score", f"/api/v1/service/{name}/score"):
            self.assertEqual(json.loads(post(path, {"data": B64[0]["b64"]}, 200).json), workshop)
        self.assertEqual(post(f"{V1}/models/{name}/versions/1/score", {"data": B64[0]["b64"]}, 200).json["predictions"],
                         predictions)

        picture = {"name": "image_bytes", "datatype": "BYTES", "shape": [1]}
        tensor = {"name": "input", "datatype": "FP32", "shape": [1, 3, SIZE, SIZE]}
        for place in ("", "/versions/1"):
            path = f"/v2/models/{name}{place}/infer"
            for given in ({**picture, "data": [B64[0]["b64"]]}, {**tensor, "data": [TENSOR]}):
                got = post(path, {"inputs": [given]}, 200).json["outputs"][0]["data"]
                self.assertEqual(got, want)
            for given, binary in ((picture, struct.pack("<I", len(PICTURES[0])) + PICTURES[0]), (tensor, raw)):
                head = json.dumps({"inputs": [{**given, "parameters": {"binary_data_size": len(binary)}}],
                                   "parameters": {"binary_data_output": True}}).encode()
                got = post(path, head + binary, 200, {"Inference-Header-Content-Length": str(len(head))})
                self.assertEqual(got.body[int(got.header("Inference-Header-Content-Length")):], bits)
            labelled = post(path, {"inputs": [{**picture, "data": [B64[0]["b64"]]}], "outputs": [
                {"name": "probabilities", "parameters": {"classification": 1}}]}, 200).json["outputs"][0]["data"]
            self.assertEqual(labelled, [f"{best['probability']!r}:{want.index(best['probability'])}:{best['label']}"])

        for place in ("", "/versions/1", "/labels/production"):
            path = f"/v1/models/{name}{place}:predict"
            for given in (B64[0], TENSOR):
                self.assertEqual(post(path, {"instances": [given]}, 200).json, {"predictions": [want]})
                self.assertEqual(post(path, {"inputs": [given]}, 200).json, {"outputs": [want]})


if __name__ == "__main__":
    unittest.main()
