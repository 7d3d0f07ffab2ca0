"""Makes tests/unit/nn/tiny.onnx: a backbone small enough for unit tests (32 x 32 pictures, 12
features, random weights), with the metadata that a real one has.

    python3 tests/unit/nn/tiny_onnx.py          (Debian 12: python3-onnx 1.12, python3-numpy 1.24.2)
"""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.RandomState(1)


def tensor(name, *shape):
    scale = 1.4 / np.sqrt(max(1, np.prod(shape[1:])))
    return numpy_helper.from_array((RANDOM.randn(*shape) * scale).astype(np.float32), name)


def main():
    nodes = [
        helper.make_node("Conv", ["input", "w1", "b1"], ["c1"], name="conv1", kernel_shape=[3, 3],
                         strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], name="conv2", kernel_shape=[3, 3],
                         strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"], name="relu2"),
        helper.make_node("GlobalAveragePool", ["r2"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["features"], name="flatten", axis=1),
        helper.make_node("Gemm", ["features", "w3", "b3"], ["logits"], name="classifier", transB=1),
    ]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, 32, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5])],
        [tensor("w1", 8, 3, 3, 3), tensor("b1", 8), tensor("w2", 12, 8, 3, 3), tensor("b2", 12),
         tensor("w3", 5, 12), tensor("b3", 5)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    helper.set_model_props(model, {"mean": "127.5,127.5,127.5", "std": "127.5,127.5,127.5",
                                   "color_order": "RGB", "input_size": "32"})
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tiny.onnx"))


if __name__ == "__main__":
    main()
