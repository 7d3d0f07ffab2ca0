"""Makes corpus/network: small ONNX files that between them hold every kind of operator.

    corpus_network.py FOLDER

Made with python3-onnx 1.12. Shapes are tiny, numbers come from a fixed seed.
"""
import pathlib
import sys

import numpy
from onnx import TensorProto, helper, numpy_helper

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
numbers = numpy.random.default_rng(1)


def tensor(name):
    """w1x2: floats of that shape, p4: positive ones, n1_-1: integers, k0.5: one number."""
    kind, rest = name[0], name[1:]
    if kind == "k":
        return numpy_helper.from_array(numpy.array(float(rest), numpy.float32), name)
    if kind == "n":
        return numpy_helper.from_array(numpy.array(rest.split("_"), numpy.int64), name)
    shape = [int(s) for s in rest.split("x")]
    values = numbers.random(shape, numpy.float32) - (0.5 if kind == "w" else -0.5)
    return numpy_helper.from_array(values.astype(numpy.float32), name)


def write(name, opset, *nodes):
    """nodes: (operator, "inputs", "outputs", attributes); x is the input, y the output."""
    made = [helper.make_node(op, i.split(), o.split(), **a) for op, i, o, a in nodes]
    used = sorted({i for n in made for i in n.input if i[1:2].isdigit() or i[1:2] == "-"})
    graph = helper.make_graph(
        made, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [tensor(u) for u in used])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    (folder / (name + ".onnx")).write_bytes(model.SerializeToString())


def conv(i, o, w, **a):
    return "Conv", f"{i} {w}", o, a


write("residual", 13, conv("x", "a", "w8x3x3x3 w8", pads=[1, 1, 1, 1]), ("Relu", "a", "b", {}),
      conv("b", "c", "w8x8x1x1"), ("BatchNormalization", "c p8 w8 w8 p8", "d", {}),
      ("Add", "d b", "e", {}), ("Clip", "e k0 k6", "y", {}))
write("classifier", 13,
      conv("x", "a", "w3x1x3x3", group=3, strides=[2, 2], auto_pad="SAME_UPPER"),
      ("GlobalAveragePool", "a", "b", {}), ("Flatten", "b", "c", {}),
      ("Gemm", "c w5x3 w5", "d", {"transB": 1}), ("Softmax", "d", "y", {}))
write("squeeze", 13, conv("x", "a", "w16x3x1x1"), conv("x", "b", "w16x3x1x1"),
      ("Concat", "a b", "c", {"axis": 1}),
      ("MaxPool", "c", "d", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
      conv("d", "e", "w2x32x1x1", dilations=[1, 1]), ("ReduceMean", "e", "y", {"axes": [2, 3]}))
write("shuffle", 13, conv("x", "a", "w4x3x1x1"), ("Reshape", "a n0_2_2_8_8", "b", {}),
      ("Transpose", "b", "c", {"perm": [0, 2, 1, 3, 4]}), ("Reshape", "c n0_-1_8_8", "d", {}),
      ("Split", "d n1_3", "e f", {"axis": 1}), ("Slice", "f n0 n2 n1", "g", {}),
      ("Concat", "e g", "y", {"axis": 1}))
write("attention", 17, ("Reshape", "x n0_3_64", "a", {}),
      ("LayerNormalization", "a p64 w64", "b", {}), ("MatMul", "b w64x8", "c", {}),
      ("Transpose", "c", "d", {"perm": [0, 2, 1]}), ("MatMul", "c d", "e", {}),
      ("Softmax", "e", "f", {"axis": -1}), ("MatMul", "f c", "g", {}),
      ("Gather", "g n0", "h", {"axis": 1}), ("Erf", "h", "i", {}), ("Squeeze", "i n1", "y", {}))
write("shapes", 13, ("Shape", "x", "a", {}), ("Gather", "a n0", "b", {}),
      ("Concat", "b n-1", "c", {"axis": 0}), ("Cast", "c", "d", {"to": 1}),
      ("Mul", "d k1", "e", {}), ("Cast", "e", "f", {"to": 7}), ("Reshape", "x f", "g", {}),
      ("Unsqueeze", "g n1", "h", {}), ("Pad", "h n0_0_1_0_0_2 k0.5", "y", {}))
write("elements", 14, ("HardSwish", "x", "a", {}), ("Sigmoid", "a", "b", {}),
      ("Mul", "b x", "c", {}), ("PRelu", "c w3x1x1", "d", {}), ("Pow", "d k2", "e", {}),
      ("Sqrt", "e", "f", {}), ("Div", "f p3x1x1", "g", {}), ("Elu", "g", "h", {}),
      ("LRN", "h", "i", {"size": 3}),
      ("AveragePool", "i", "y", {"kernel_shape": [2, 2], "count_include_pad": 1}))
write("quantised", 13, ("QuantizeLinear", "x k0.1", "a", {}),
      ("DequantizeLinear", "a k0.1", "b", {}), ("Min", "b k1", "y", {}))
write("spelt_out", 13, conv("x", "a", "w8x3x1x1"), ("Transpose", "a", "b", {"perm": [0, 2, 3, 1]}),
      ("ReduceMean", "b", "c", {"axes": [-1]}), ("Sub", "b c", "d", {}), ("Pow", "d k2", "e", {}),
      ("ReduceMean", "e", "f", {"axes": [-1]}), ("Add", "f k0.1", "g", {}), ("Sqrt", "g", "h", {}),
      ("Div", "d h", "i", {}), ("Mul", "i p8", "j", {}), ("Add", "j w8", "k", {}),
      ("MatMul", "k w8x8", "l", {}), ("Add", "w8 l", "m", {}), ("Div", "m k1.41421356", "n", {}),
      ("Erf", "n", "o", {}), ("Add", "o k1", "p", {}), ("Mul", "m p", "q", {}),
      ("Mul", "q k0.5", "r", {}), ("MatMul", "r w8x8", "s", {}),
      ("Transpose", "s", "t", {"perm": [0, 3, 1, 2]}), ("Mul", "w8x1x1 t", "u", {}),
      ("Add", "u a", "y", {}))
write("padded", 13, ("Pad", "x n0_0_1_2_0_0_2_0", "a", {}), conv("a", "b", "w16x3x3x3"),
      ("Pad", "b n0_0_0_0_0_0_0_0", "c", {}), ("Sigmoid", "c", "d", {}), ("Mul", "c d", "e", {}),
      conv("e", "f", "w16x8x3x3", group=2, pads=[1, 1, 1, 1]), ("GlobalAveragePool", "f", "g", {}),
      ("Mul", "f g", "h", {}), ("Sub", "g h", "i", {}), ("Div", "k1 i", "y", {}))
write("slices", 13, conv("x", "a", "w16x3x1x1"), ("Slice", "a n1 n7 n2 n2", "b", {}),
      ("Split", "b n4_8_4", "c d e", {"axis": 1}), conv("d", "f", "w8x8x1x1"),
      ("Concat", "c f e", "g", {"axis": 1}), ("Transpose", "g", "h", {"perm": [0, 3, 1, 2]}),
      ("Reshape", "h n0_4_-1", "i", {}), ("Slice", "i n-1 n-100 n2 n-2", "j", {}),
      ("Transpose", "j", "k", {"perm": [0, 2, 1]}), ("MatMul", "j k", "y", {}))
