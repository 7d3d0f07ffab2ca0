"""The Open Inference Protocol v2 with a tiny network: the requests that tritonclient.http sends, to the byte, and
the examples of the specification and of its extensions (binary tensor data, classification, model repository)."""
import base64
import gzip
import json
import os
import struct
import time
import unittest
import zlib

from kennel_test import V1, Case, make_model, png, until

PICTURES = [png(41, 37, color, 77) for color in ((198, 62, 52), (62, 185, 72), (52, 72, 205))]
INFER = "/v2/models/colors/infer"
SIZE = 32


def tensor_of(color, seed):
    """What preprocessing makes of png(41, 37, color, seed): the shorter side is 37 already, so the centre is cut
    out and (x - mean) / std follows. mean and std of tiny.onnx."""
    values = []
    for c in color:
        for y in range(2, 2 + SIZE):
            for x in range(4, 4 + SIZE):
                wave = (x * 7 + y * 13 + seed * 31) % 41 - 20
                values.append((max(0, min(255, c + wave)) - 127.5) / 127.5)
    return values


TENSOR = tensor_of((198, 62, 52), 77)
RAW = struct.pack(f"<{len(TENSOR)}f", *TENSOR)


def elements(pictures):
    return b"".join(struct.pack("<I", len(p)) + p for p in pictures)


class Infer(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, "colors")
        cls.wanted = []
        for picture in PICTURES:
            got = cls.daemon.post(f"{V1}/models/colors/score?top=3", picture, 200).json["predictions"]
            cls.wanted.append({p["label"]: p["probability"] for p in got})
        cls.labels = sorted(cls.wanted[0])

    def flat(self, count=1):
        return [self.wanted[i][label] for i in range(count) for label in self.labels]

    def triton(self, inputs, binary=None, outputs=None, path=INFER, expect=200, headers=None, **more):
        """As tritonclient.http builds it: JSON, its length in a header, the tensor behind it; no outputs named
        means that all come in binary."""
        request = dict(more)
        parameters = request.pop("parameters", {})
        request["inputs"] = inputs
        if outputs:
            request["outputs"] = outputs
        else:
            parameters = {**parameters, "binary_data_output": True}
        if parameters:
            request["parameters"] = parameters
        body = json.dumps(request).encode()
        headers = dict(headers or {})
        if binary is not None:
            headers["Inference-Header-Content-Length"] = str(len(body))
            body += binary
        coding = headers.get("Content-Encoding")
        body = gzip.compress(body) if coding == "gzip" else zlib.compress(body) if coding == "deflate" else body
        return self.daemon.request("POST", path, body, headers, expect=expect)

    def pictures(self, count=1, **more):
        data = elements(PICTURES[:count])
        tensor = {"name": "image_bytes", "shape": [count], "datatype": "BYTES",
                  "parameters": {"binary_data_size": len(data)}}
        return self.triton([tensor], data, **more)

    def result(self, reply):
        """As InferResult reads it."""
        length = reply.header("Inference-Header-Content-Length")
        if length is None:
            self.assertEqual(reply.header("Content-Type"), "application/json")
            return json.loads(reply.plain), b""
        self.assertEqual(reply.header("Content-Type"), "application/octet-stream")
        return json.loads(reply.plain[:int(length)]), reply.plain[int(length):]

    def as_floats(self, reply):
        head, binary = self.result(reply)
        self.assertEqual(len(head["outputs"]), 1)
        output = head["outputs"][0]
        self.assertEqual((output["name"], output["datatype"]), ("probabilities", "FP32"))
        if "data" in output:
            self.assertEqual(binary, b"")
            return output["data"]
        self.assertEqual(output["parameters"], {"binary_data_size": len(binary)})
        return list(struct.unpack(f"<{len(binary) // 4}f", binary))

    def float32(self, values):
        return [struct.unpack("<f", struct.pack("<f", v))[0] for v in values]

    def same(self, got, count=1):
        """To the last bit of a float32."""
        self.assertEqual(self.float32(got), self.float32(self.flat(count)))

    # -- the client's ways --------------------------------------------------------------------------------

    def test_binary_in_and_out(self):
        reply = self.pictures(3)
        head, _ = self.result(reply)
        self.assertEqual(head["model_name"], "colors")
        self.assertEqual(head["model_version"], "1")
        self.assertNotIn("id", head)
        self.assertEqual(head["outputs"][0]["shape"], [3, 3])
        self.same(self.as_floats(reply), 3)

    def test_binary_in_json_out(self):
        for outputs in ([{"name": "probabilities"}], [{"name": "probabilities", "parameters": {"binary_data": False}}]):
            reply = self.pictures(2, outputs=outputs)
            self.assertIsNone(reply.header("Inference-Header-Content-Length"))
            self.same(self.as_floats(reply), 2)
            # The text is the shortest that reads back, as in the other protocols.
            self.assertEqual(json.loads(reply.body)["outputs"][0]["data"], self.flat(2))

    def test_json_in(self):
        data = [base64.b64encode(p).decode() for p in PICTURES]
        for shape, given in (([3], data), ([3, 1], data), ([3, 1], [[d] for d in data])):
            body = {"id": "42", "inputs": [{"name": "image_bytes", "shape": shape, "datatype": "BYTES", "data": given}]}
            reply = self.daemon.post(INFER, body, 200, {"Content-Type": "application/json"})
            self.assertEqual(reply.json["id"], "42")
            self.same(self.as_floats(reply), 3)

    def test_version_in_the_path(self):
        self.same(self.as_floats(self.pictures(1, path="/v2/models/colors/versions/1/infer")))

    def test_prepared_tensors(self):
        tensor = {"name": "input", "shape": [1, 3, SIZE, SIZE], "datatype": "FP32"}
        self.same(self.as_floats(self.triton([{**tensor, "parameters": {"binary_data_size": len(RAW)}}], RAW)))
        planes = [[TENSOR[(c * SIZE + y) * SIZE:(c * SIZE + y + 1) * SIZE] for y in range(SIZE)] for c in range(3)]
        for data in (TENSOR, [[planes[0], planes[1], planes[2]]]):
            self.same(self.as_floats(self.triton([{**tensor, "data": data}])))

    def test_a_tensor_that_is_not_aligned(self):
        tensor = {"name": "input", "shape": [1, 3, SIZE, SIZE], "datatype": "FP32",
                  "parameters": {"binary_data_size": len(RAW)}}
        for spaces in range(4):
            self.same(self.as_floats(self.triton([tensor], RAW, id="x" * spaces)))

    def test_classification(self):
        want = [f"{v!r}:{self.labels.index(k)}:{k}"
                for k, v in sorted(self.wanted[0].items(), key=lambda item: -item[1])]
        asked = {"name": "probabilities", "parameters": {"classification": 2}}
        head, _ = self.result(self.pictures(1, outputs=[asked]))
        self.assertEqual(head["outputs"], [{"name": "probabilities", "datatype": "BYTES", "shape": [1, 2],
                                            "data": want[:2]}])
        # More than there are classes: all of them.
        asked["parameters"] = {"classification": 10000, "binary_data": True}
        head, binary = self.result(self.pictures(1, outputs=[asked, {"name": "probabilities"}]))
        self.assertEqual(head["outputs"][0]["shape"], [1, 3])
        self.assertEqual(head["outputs"][0]["parameters"]["binary_data_size"], len(binary))
        self.assertEqual(binary, elements([w.encode() for w in want]))
        self.assertEqual(head["outputs"][1]["data"], self.flat())

    def test_both_outputs_in_binary(self):
        outputs = [{"name": "probabilities", "parameters": {"binary_data": True}},
                   {"name": "probabilities", "parameters": {"binary_data": True, "classification": 1}}]
        head, binary = self.result(self.pictures(2, outputs=outputs))
        sizes = [o["parameters"]["binary_data_size"] for o in head["outputs"]]
        self.assertEqual(sizes[0], 24)
        self.assertEqual(sum(sizes), len(binary))
        self.assertEqual(list(struct.unpack("<6f", binary[:24])), self.float32(self.flat(2)))

    def test_packed_bodies(self):
        for coding in ("gzip", "deflate"):
            self.same(self.as_floats(self.pictures(3, headers={"Content-Encoding": coding})), 3)
            reply = self.pictures(3, headers={"Accept-Encoding": coding})
            self.assertEqual(reply.header("Content-Encoding"), coding)
            self.same(self.as_floats(reply), 3)
            reply = self.pictures(3, headers={"Accept-Encoding": coding}, outputs=[{"name": "probabilities"}])
            self.same(self.as_floats(reply), 3)
        for accept in ("identity", "br, zstd", "gzip;q=0", "gzip; q=0.000, br", ""):
            self.assertIsNone(self.pictures(1, headers={"Accept-Encoding": accept}).header("Content-Encoding"))
        both = self.pictures(1, headers={"Accept-Encoding": "br, gzip;q=0, deflate;q=0.5"})
        self.assertEqual(both.header("Content-Encoding"), "deflate")

    def test_unknown_members_and_parameters_are_passed_over(self):
        # "model_name" stands in the specification's own example; priority and the like are other extensions'.
        self.same(self.as_floats(self.pictures(1, model_name="mymodel", parameters={
            "priority": 1, "sequence_id": 5, "sequence_start": True, "custom": "x", "timeout": 20000000})))

    def test_a_timeout_that_is_over(self):
        reply = self.pictures(1, parameters={"timeout": 1}, expect=504)
        self.assertEqual(reply.code, "deadline")

    # -- refusals ------------------------------------------------------------------------------------------

    def refused(self, reply, status, code, words=""):
        self.assertEqual((reply.status, reply.code), (status, code), reply)
        self.assertEqual(list(reply.json), ["error"])
        self.assertEqual(reply.header("Content-Type"), "application/json")
        self.assertIn(words, reply.json["error"])

    def test_the_error_form(self):
        self.refused(self.daemon.post("/v2/models/nope/infer", "{}"), 404, "model_unknown", "nope")
        self.refused(self.daemon.post("/v2/models/colors/versions/7/infer", "{}"), 404, "version_unknown")
        self.refused(self.daemon.post("/v2/models/colors/versions/x/infer", "{}"), 404, "version_unknown")
        self.refused(self.daemon.request("GET", "/v2/models/nope"), 404, "model_unknown")
        self.refused(self.daemon.request("GET", "/v2/nope"), 404, "route_unknown")
        self.refused(self.daemon.request("GET", INFER), 405, "method_not_allowed")
        self.refused(self.daemon.post(INFER, "{"), 400, "json_syntax")
        self.refused(self.daemon.post(INFER), 400, "body_missing")
        self.refused(self.daemon.post(INFER, "{}", headers={"Content-Type": "image/png"}), 400, "media_type")

    def test_the_specifications_example_is_refused_by_name(self):
        body = {"id": "42", "outputs": [{"name": "output0"}], "inputs": [
            {"name": "input0", "shape": [2, 2], "datatype": "UINT32", "data": [1, 2, 3, 4]},
            {"name": "input1", "shape": [3], "datatype": "BOOL", "data": [True]}]}
        self.refused(self.daemon.post(INFER, body), 400, "tensor_unknown", "output0")
        del body["outputs"]
        self.refused(self.daemon.post(INFER, body), 400, "field_range", "expected 1 input")
        del body["inputs"][1]
        self.refused(self.daemon.post(INFER, body), 400, "tensor_unknown", "UINT32")

    def test_inputs(self):
        good = {"name": "image_bytes", "shape": [1], "datatype": "BYTES",
                "data": [base64.b64encode(PICTURES[0]).decode()]}
        floats = {"name": "input", "shape": [1, 3, SIZE, SIZE], "datatype": "FP32", "data": TENSOR}
        for change, code in (
                ({"name": "input"}, "tensor_unknown"), ({"name": 7}, "json_type"), ({"name": None}, "field_missing"),
                ({"datatype": None}, "field_missing"), ({"shape": None}, "field_missing"),
                ({"shape": [2]}, "tensor_shape"), ({"shape": [0]}, "tensor_shape"), ({"shape": []}, "tensor_shape"),
                ({"shape": [1, 2]}, "tensor_shape"), ({"shape": [1.0]}, "tensor_shape"),
                ({"shape": [-1]}, "tensor_shape"), ({"shape": [1] * 9}, "tensor_shape"),
                ({"shape": ["1"]}, "tensor_shape"), ({"shape": 1}, "json_type"),
                ({"data": None}, "field_missing"), ({"data": "x"}, "json_type"), ({"data": [7]}, "tensor_data"),
                ({"data": ["%%%"]}, "base64_syntax"), ({"data": [""]}, "body_missing"),
                ({"data": [base64.b64encode(b"no picture").decode()]}, "picture_format"),
                ({"parameters": 7}, "json_type"), ({"parameters": {"binary_data_size": "1"}}, "json_type"),
                ({"parameters": {"binary_data_size": -1}}, "field_range"),
                ({"parameters": {"binary_data_size": 1}}, "tensor_data"),
                ({"parameters": {"shared_memory_region": "x"}}, "tensor_data")):
            reply = self.daemon.post(INFER, {"inputs": [{**good, **change}]})
            self.refused(reply, 400, code)
        for change, code in (({"shape": [1, 3, SIZE, SIZE - 1]}, "tensor_shape"), ({"shape": [1, SIZE, SIZE, 3]}, "tensor_shape"),
                             ({"shape": [3, SIZE, SIZE]}, "tensor_shape"), ({"shape": [2, 3, SIZE, SIZE]}, "tensor_shape"),
                             ({"data": TENSOR[:-1]}, "tensor_shape"), ({"data": [TENSOR]}, "tensor_shape"),
                             ({"data": TENSOR[:-1] + ["1"]}, "tensor_data"), ({"data": TENSOR[:-1] + [1e39]}, "tensor_data"),
                             ({"data": TENSOR[:-1] + [None]}, "tensor_data"), ({"data": []}, "tensor_shape")):
            self.refused(self.daemon.post(INFER, {"inputs": [{**floats, **change}]}), 400, code)
        for inputs in ([], [good, floats], None):
            self.refused(self.daemon.post(INFER, {"inputs": inputs}), 400, "field_range")
        self.refused(self.daemon.post(INFER, {"inputs": [7]}), 400, "field_missing")
        self.refused(self.daemon.post(INFER, []), 400, "json_type")
        for outputs in ([{"name": "probabilities"}] * 5, [{"name": "probabilities", "parameters": {"classification": 10001}}]):
            self.refused(self.daemon.post(INFER, {"inputs": [good], "outputs": outputs}), 400, "field_range")
        self.refused(self.daemon.post(INFER, {"inputs": [good], "id": "x" * 1025}), 400, "field_range")
        self.assertEqual(self.daemon.post(INFER, {"inputs": [good], "id": "x" * 1024}, 200).json["id"], "x" * 1024)

    def test_numbers_that_are_none(self):
        tensor = {"name": "input", "shape": [1, 3, SIZE, SIZE], "datatype": "FP32",
                  "parameters": {"binary_data_size": len(RAW)}}
        for bad in (float("nan"), float("inf")):
            self.refused(self.triton([tensor], RAW[:-4] + struct.pack("<f", bad), expect=400), 400, "tensor_data")
        huge = struct.pack("<f", 3e38) * len(TENSOR)
        reply = self.triton([tensor], huge, expect=None)
        self.assertIn(reply.status, (200, 400))  # the network may bear it; a NaN is never an answer
        if reply.status == 200:
            self.assertTrue(all(0 <= p <= 1 for p in self.as_floats(reply)))

    def test_binary_that_does_not_fit(self):
        def tensor(count, size):
            return [{"name": "image_bytes", "shape": [count], "datatype": "BYTES",
                     "parameters": {"binary_data_size": size}}]
        data = elements(PICTURES[:1])
        for inputs, binary, words in ((tensor(1, len(data) + 1), data, "behind its JSON"),
                                      (tensor(1, len(data) - 1), data, "behind its JSON"),
                                      (tensor(2, len(data)), data, "element 1 of 2"),
                                      (tensor(1, len(data) - 1), data[:-1], "element 0 of 1"),
                                      (tensor(1, 3), b"abc", "element 0 of 1"),
                                      (tensor(1, 4), b"\xff\xff\xff\xff", "element 0 of 1"),
                                      (tensor(1, len(data) + 1), data + b"x", "1 bytes follow"),
                                      (tensor(1, 0), b"", "element 0 of 1"),
                                      ([{"name": "input", "shape": [1, 3, SIZE, SIZE], "datatype": "FP32",
                                         "parameters": {"binary_data_size": 8}}], b"8 bytes.", "takes")):
            self.refused(self.triton(inputs, binary, expect=400), 400, "tensor_data", words)
        json_input = [{"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": ["aaaa"]}]
        self.refused(self.triton(json_input, data, expect=400), 400, "tensor_data", "no input has")
        for length in ("0", "-1", "x", "1e2", "99999999", "123456789012345678901"):
            self.refused(self.daemon.post(INFER, "{}", headers={"Inference-Header-Content-Length": length}),
                         400, "field_range")

    def test_one_bad_picture_is_named(self):
        data = elements([PICTURES[0], b"not a picture", PICTURES[1], b"neither"])
        tensor = {"name": "image_bytes", "shape": [4], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
        self.refused(self.triton([tensor], data, expect=400), 400, "picture_format", "picture 1:")

    # -- limits --------------------------------------------------------------------------------------------

    def test_pictures_in_a_request(self):
        data = elements(PICTURES[:1] * 64)
        tensor = {"name": "image_bytes", "shape": [64], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
        self.assertEqual(len(self.as_floats(self.triton([tensor], data))), 64 * 3)
        tensor = {**tensor, "shape": [65]}
        self.refused(self.triton([tensor], data, expect=413), 413, "batch_too_large", "64")
        self.refused(self.triton([{**tensor, "shape": [1 << 62]}], data, expect=413), 413, "batch_too_large")

    def test_values_in_json(self):
        limit = 2 << 20
        body = '{"inputs":[%s]}' % ",".join("7" * (limit - 2))
        self.refused(self.daemon.post(INFER, body), 400, "field_range", "expected 1 input")
        self.refused(self.daemon.post(INFER, body.replace("[7", "[7,7", 1)), 413, "json_values")

    def test_depth_of_json(self):
        self.refused(self.daemon.post(INFER, '{"x":' + "[" * 31 + "]" * 31 + "}"), 400, "field_range")
        self.refused(self.daemon.post(INFER, '{"x":' + "[" * 32 + "]" * 32 + "}"), 400, "json_depth")

    def test_packed_bodies_that_are_none(self):
        body = gzip.compress(b"{}")
        for bad in (b"{}", body[:-1], body + b"x", body[:-6] + b"\0" + body[-5:], b""):
            reply = self.daemon.post(INFER, bad, headers={"Content-Encoding": "gzip"})
            self.refused(reply, 400, "body_coding")
        self.refused(self.daemon.post(INFER, body, headers={"Content-Encoding": "br"}), 400, "media_type")


class Packed(Case):
    """Small limits, so that one past them is quick to reach."""
    options = ("--max-picture-bytes", "4000")

    def test_what_unpacks_to_too_much(self):
        make_model(self.daemon, "colors")
        limit = 4000 // 10 * 14 + 4096
        for size, code in ((limit, "json_syntax"), (limit + 1, "body_bomb"), (50 << 20, "body_bomb")):
            for coding, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
                reply = self.daemon.post(INFER, pack(b" " * size), headers={"Content-Encoding": coding})
                # The packed one must get below the limit itself.
                want = "body_too_large" if len(pack(b" " * size)) > limit else code
                self.assertEqual(reply.code, want, size)
        big = os.urandom(4001)
        for picture, code in ((big[:4000], "picture_format"), (big, "picture_bytes")):
            tensor = {"name": "image_bytes", "shape": [1], "datatype": "BYTES",
                      "parameters": {"binary_data_size": len(picture) + 4}}
            head = json.dumps({"inputs": [tensor]}).encode()
            reply = self.daemon.post(INFER, head + elements([picture]),
                                     headers={"Inference-Header-Content-Length": str(len(head))})
            self.assertEqual(reply.code, code)
            reply = self.daemon.post(INFER, {"inputs": [{"name": "image_bytes", "shape": [1], "datatype": "BYTES",
                                                         "data": [base64.b64encode(picture).decode()]}]})
            self.assertEqual(reply.code, code)


class Queue(Case):
    options = ("--score-queue", "2", "--score-threads", "1")

    def test_a_batch_that_does_not_fit_into_the_queue(self):
        make_model(self.daemon, "colors")
        data = elements(PICTURES[:1] * 64)
        head = json.dumps({"inputs": [{"name": "image_bytes", "shape": [64], "datatype": "BYTES",
                                       "parameters": {"binary_data_size": len(data)}}]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        reply = self.daemon.post(INFER, head + data, 503, headers)
        self.assertEqual((reply.code, reply.header("Retry-After")), ("busy", "1"))
        one = json.dumps({"inputs": [{"name": "image_bytes", "shape": [1], "datatype": "BYTES",
                                      "data": [base64.b64encode(PICTURES[0]).decode()]}]})
        self.daemon.post(INFER, one, 200)


class Models(Case):
    def test_before_anything_is_promoted(self):
        self.assertEqual(self.daemon.get("/v2")["name"], "kennel")
        self.assertEqual(self.daemon.request("GET", "/v2/health/live", expect=200).body, b"")
        self.assertEqual(self.daemon.request("GET", "/v2/health/ready", expect=200).body, b"")
        self.assertEqual(self.daemon.post("/v2/repository/index", "", 200).json, [])
        make_model(self.daemon, "colors", promote=False)
        self.daemon.request("GET", "/v2/models/colors/ready", expect=400)
        self.daemon.request("GET", "/v2/models/colors/versions/1/ready", expect=200)
        self.assertEqual(self.daemon.request("GET", "/v2/models/colors").code, "not_promoted")
        row, = self.daemon.post("/v2/repository/index", {}, 200).json
        self.assertEqual((row["name"], row["version"], row["state"]), ("colors", "", "UNAVAILABLE"))
        self.assertEqual(self.daemon.post("/v2/repository/index", {"ready": True}, 200).json, [])

        self.daemon.post(f"{V1}/models/colors/promote", {"version": 1}, 200)
        self.daemon.request("GET", "/v2/models/colors/ready", expect=200)
        self.daemon.request("GET", "/v2/models/nope/ready", expect=404)
        self.assertEqual(self.daemon.post("/v2/repository/index", {"ready": True}, 200).json,
                         [{"name": "colors", "version": "1", "state": "READY", "reason": ""}])
        want = {"name": "colors", "versions": ["1"], "platform": "onnx_onnxv1",
                "inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [-1]},
                           {"name": "input", "datatype": "FP32", "shape": [-1, 3, SIZE, SIZE]}],
                "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}]}
        self.assertEqual(self.daemon.get("/v2/models/colors"), want)
        self.assertEqual(self.daemon.get("/v2/models/colors/versions/1"), want)
        config = self.daemon.get("/v2/models/colors/config")
        self.assertEqual(config["max_batch_size"], 64)
        self.assertEqual([i["name"] for i in config["input"]], ["image_bytes", "input"])
        self.assertEqual(self.daemon.get("/v2/models/colors/versions/1/config"), config)
        self.load_and_unload()
        job = self.daemon.post(f"{V1}/models/colors/retrain", {"seed": 2}, 202).json["id"]
        self.daemon.wait_job(job)
        self.assertEqual(self.daemon.get("/v2/models/colors")["versions"], ["1", "2"])
        self.assertEqual(self.daemon.get("/v2/models/colors/versions/2")["versions"], ["2"])

    def load_and_unload(self):
        """The bodies are tritonclient's."""
        one = {"inputs": [{"name": "image_bytes", "shape": [1], "datatype": "BYTES",
                           "data": [base64.b64encode(PICTURES[0]).decode()]}]}
        before = self.daemon.post(INFER, one, 200).json
        for _ in range(2):
            reply = self.daemon.post("/v2/repository/models/colors/unload", {"parameters": {"unload_dependents": False}}, 200)
            self.assertEqual(reply.body, b"")
        self.assertEqual(self.daemon.post(INFER, one, 503).code, "model_unloaded")
        self.daemon.request("GET", "/v2/models/colors/ready", expect=400)
        self.daemon.request("GET", "/v2/health/ready", expect=200)
        row, = self.daemon.post("/v2/repository/index", "", 200).json
        self.assertEqual((row["state"], row["reason"]), ("UNAVAILABLE", 'model "colors" is unloaded'))
        self.assertEqual(self.daemon.post("/v2/models/colors/versions/1/infer", one, 200).json, before)
        for body in ("{}", "", "{}"):
            self.daemon.post("/v2/repository/models/colors/load", body, 200)
            self.assertEqual(self.daemon.post(INFER, one, 200).json, before)
        for verb, name in (("load", "config"), ("load", "file:1/model.onnx"), ("unload", "config")):
            reply = self.daemon.post(f"/v2/repository/models/colors/{verb}", {"parameters": {name: "x"}}, 400)
            self.assertEqual(reply.code, "field_unknown")
        make_model(self.daemon, "bare", train=False)
        for verb in ("load", "unload"):
            self.assertEqual(self.daemon.post(f"/v2/repository/models/nope/{verb}", "", 404).code, "model_unknown")
            self.assertEqual(self.daemon.post(f"/v2/repository/models/bare/{verb}", "", 503).code, "not_promoted")


class Statistics(Case):
    """get_inference_statistics() of tritonclient.http: three paths, one form."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("colors", "other"):
            make_model(cls.daemon, name)
        make_model(cls.daemon, "bare", train=False)

    def stats(self, path):
        return {(s["name"], s["version"]): s for s in self.daemon.get(path)["model_stats"]}

    def one(self, path="/v2/models/colors/versions/1/stats"):
        row, = self.stats(path).values()
        return row

    def test_figures_are_of_what_was_scored(self):
        before = self.one()
        self.assertEqual((before["inference_count"], before["last_inference"], before["batch_stats"]), (0, 0, []))
        self.assertEqual({d["count"] for d in before["inference_stats"].values()}, {0})
        self.assertGreater(before["memory_usage"][0]["byte_size"], 1000)
        data = elements(PICTURES)
        head = json.dumps({"inputs": [{"name": "image_bytes", "shape": [3], "datatype": "BYTES",
                                       "parameters": {"binary_data_size": len(data)}}]}).encode()
        start = time.time()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        self.daemon.post(INFER, head + data, 200, headers)
        self.daemon.post(f"{V1}/models/colors/score", PICTURES[0], 200)
        self.daemon.post("/v1/models/colors:predict",
                         {"instances": [{"b64": base64.b64encode(PICTURES[1]).decode()}]}, 200)
        self.daemon.post(f"{V1}/models/colors/score", b"no picture", 422)
        self.daemon.post(INFER, {"inputs": []}, 400)
        took = time.time() - start
        # A request is counted when its reply has gone out, which may be after it was read.
        until(lambda: self.one()["inference_stats"]["success"]["count"] == 3
              and self.one()["inference_stats"]["fail"]["count"] == 2)
        got = self.one()
        self.assertEqual((got["inference_count"], got["execution_count"]), (5, 5))
        counts = {name: d["count"] for name, d in got["inference_stats"].items()}
        self.assertEqual(counts, {"success": 3, "fail": 2, "queue": 6, "compute_input": 5, "compute_infer": 5,
                                  "compute_output": 5, "cache_hit": 0, "cache_miss": 0})
        ns = {name: d["ns"] for name, d in got["inference_stats"].items()}
        self.assertGreater(ns["compute_input"], 0)
        self.assertGreater(ns["compute_infer"], 0)
        self.assertGreaterEqual(ns["success"], (ns["compute_input"] + ns["compute_infer"]) // 3)
        self.assertLessEqual(ns["success"] + ns["fail"], took * 1e9)
        self.assertTrue(start - 1 <= got["last_inference"] / 1000 <= time.time() + 1)
        batch, = got["batch_stats"]
        self.assertEqual(batch.pop("batch_size"), 1)
        self.assertEqual(batch, {name: got["inference_stats"][name] for name in batch})

    def test_paths(self):
        self.daemon.wait_job(self.daemon.post(f"{V1}/models/other/retrain", {"seed": 2}, 202).json["id"])
        path = "/v2/models/other/stats"
        self.assertEqual(set(self.stats(path)), {("other", "1")})
        self.assertEqual(self.one("/v2/models/other/versions/2/stats")["memory_usage"], [])
        self.daemon.post(f"{V1}/models/other/versions/2/score", PICTURES[0], 200)
        got = self.stats(path)
        self.assertEqual(list(got), [("other", "1"), ("other", "2")])
        self.assertEqual([s["inference_count"] for s in got.values()], [0, 1])
        self.assertGreater(got["other", "2"]["memory_usage"][0]["byte_size"], 1000)
        self.assertEqual(list(self.stats("/v2/models/stats")), [("colors", "1"), ("other", "1"), ("other", "2")])
        self.assertEqual(self.stats("/v2/models/bare/stats"), {})
        for path, code in (("/v2/models/nope/stats", "model_unknown"), ("/v2/models/nope/versions/1/stats", "model_unknown"),
                           ("/v2/models/colors/versions/9/stats", "version_unknown"),
                           ("/v2/models/colors/versions/x/stats", "version_unknown")):
            self.assertEqual(self.daemon.request("GET", path, expect=404).code, code)
        self.assertIn("statistics", self.daemon.get("/v2")["extensions"])


if __name__ == "__main__":
    unittest.main()
