"""Makes opsets.txt: small networks in every operator set from 9 to 20, and what ONNX Runtime makes of
them. Between them they hold each form that an operator of ours has had in those sets.

    opsets.py NODE_MODULES > opsets.txt

NODE_MODULES has onnxruntime-node (1.30). Needs python3-onnx (1.12), which writes later sets too as long
as it does not check them. The input is [2,3,8,8]: entry i is sin(i / 7), as float32. A line is
    OPERATOR_SET FAMILY FILE VALUE...
with the file's bytes in hexadecimal.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy
from onnx import TensorProto, helper, numpy_helper

SHAPE = (2, 3, 8, 8)
here = pathlib.Path(__file__).parent
numbers = numpy.random.default_rng(5)


def tensor(name):
    """w1x2: floats of that shape, p4: positive ones, n1_-1: integers, k0.5: one number; s0.1, z3: a scale
    and a zero point."""
    kind, rest = name[0], name[1:]
    if kind in "ks":
        return numpy_helper.from_array(numpy.array(float(rest), numpy.float32), name)
    if kind == "z":
        return numpy_helper.from_array(numpy.array(int(rest), numpy.uint8), name)
    if kind == "n":
        return numpy_helper.from_array(numpy.array(rest.split("_"), numpy.int64), name)
    shape = [int(s) for s in rest.split("x")]
    values = numbers.random(shape, numpy.float32) - (0.5 if kind == "w" else -0.5)
    return numpy_helper.from_array(values.astype(numpy.float32), name)


def network(opset, nodes):
    """nodes: (operator, inputs, outputs, attributes); x is the input, y the output, - left out."""
    made = [helper.make_node(op, ["" if i == "-" else i for i in ins.split()], outs.split(), **a)
            for op, ins, outs, a in nodes]
    used = sorted({i for n in made for i in n.input if i[1:2].isdigit() or i[1:2] == "-"})
    graph = helper.make_graph(
        made, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *SHAPE[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [tensor(u) for u in used])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def axes(opset, since, op, i, o, values, **a):
    """Axes as an attribute, or as an input since that operator set."""
    if opset < since:
        return op, i, o, {"axes": values, **a}
    return op, i + " n" + "_".join(map(str, values)), o, a


def shapes(opset):
    """Squeeze, Unsqueeze and ReduceMean by axes; Slice, Pad and Split by attributes and by inputs."""
    if opset < 10:
        part = "Slice", "a", "b", {"starts": [1], "ends": [7], "axes": [2]}
    else:
        part = "Slice", "a n1 n7 n2 n2", "b", {}
    if opset < 11:
        pad = "Pad", "b", "c", {"pads": [0, 0, 1, 0, 0, 0, 0, 2], "value": 0.5}
    elif opset < 18:
        pad = "Pad", "b n0_0_1_0_0_0_0_2 k0.5", "c", {}
    else:
        pad = "Pad", "b n1_0_0_2 k0.5 n2_3", "c", {}
    if opset < 13:
        split = "Split", "c", "d e", {"axis": 1, "split": [1, 2]}
    else:
        split = "Split", "c n1_2", "d e", {"axis": 1}
    halves = {"axis": 3, **({"num_outputs": 2} if opset >= 18 else {})}
    return [("Relu", "x", "a", {}), part, pad, split, ("Split", "e", "f g", halves),
            ("Mul", "d k0.5", "h", {}), ("Split", "h", "i j", halves), ("Add", "f i", "k", {}),
            ("Sub", "j g", "l", {}), ("Concat", "k l", "m", {"axis": 1}),
            axes(opset, 18, "ReduceMean", "m", "n_", [2], keepdims=1),
            axes(opset, 13, "Squeeze", "n_", "o", [2]),
            axes(opset, 13, "Unsqueeze", "o", "q", [1, -1]),
            ("Shape", "q", "r", {"start": 0, "end": 2} if opset >= 15 else {}),
            ("Gather", "r n0", "t", {"axis": 0}), ("Cast", "t", "u", {"to": 1}),
            ("Cast", "u", "v", {"to": 7}), ("Concat", "v n-1", "aa", {"axis": 0}),
            ("Reshape", "q aa", "y", {})]


def layers(opset):
    """What classifiers are made of, with the bounds of Clip in both forms."""
    clip = ("Clip", "c", "d", {"min": -0.5, "max": 0.6}) if opset < 11 else \
        ("Clip", "c k-0.5 k0.6", "d", {})
    swish = [("HardSwish", "h", "i", {})] if opset >= 14 else \
        [("HardSigmoid", "h", "h_", {"alpha": 1 / 6, "beta": 0.5}), ("Mul", "h h_", "i", {})]
    dropout = ("Dropout", "q", "r", {}) if opset >= 12 else ("Dropout", "q", "r", {"ratio": 0.5})
    more = {"dilations": [2, 2]} if opset >= 19 else {}
    return [("Conv", "x w6x3x3x3 w6", "a", {"auto_pad": "SAME_LOWER", "strides": [2, 1]}),
            ("BatchNormalization", "a p6 w6 w6 p6", "b", {"epsilon": 0.01}),
            ("LeakyRelu", "b", "c", {"alpha": 0.1}), clip, ("PRelu", "d w6x1x1", "e", {}),
            ("Conv", "e w8x3x3x3", "f", {"group": 2, "dilations": [1, 2], "pads": [1, 2, 0, 2]}),
            ("Elu", "f", "g", {"alpha": 0.7}), ("LRN", "g", "h", {"size": 3, "alpha": 0.1}), *swish,
            ("MaxPool", "i", "j", {"kernel_shape": [2, 2], "strides": [1, 2],
                                   **({"ceil_mode": 1} if opset >= 10 else {})}),
            ("AveragePool", "j", "k", {"kernel_shape": [2, 2], "pads": [1, 1, 0, 1],
                                       "count_include_pad": 1, **more}),
            ("GlobalMaxPool", "k", "l", {}), ("GlobalAveragePool", "k", "m", {}),
            ("Concat", "l m", "n_", {"axis": 1}), ("Tanh", "n_", "o", {}),
            ("Flatten", "o", "q", {}), dropout,
            ("Gemm", "r w5x16 w5", "t", {"transB": 1, "alpha": 0.5}),
            ("LogSoftmax", "t", "u", {"axis": 1}), ("Softmax", "u", "y", {"axis": -1})]


def tokens(opset):
    """Attention, with normalisation and Gelu as that operator set has them."""
    mean = lambda i, o: axes(opset, 18, "ReduceMean", i, o, [-1])
    norm = [("LayerNormalization", "b p8 w8", "m", {"epsilon": 0.01})] if opset >= 17 else \
        [mean("b", "c"), ("Sub", "b c", "d", {}), ("Pow", "d k2", "e", {}), mean("e", "f"),
         ("Add", "f k0.01", "g", {}), ("Sqrt", "g", "h", {}), ("Div", "d h", "i", {}),
         ("Mul", "i p8", "j", {}), ("Add", "j w8", "m", {})]
    gelu = [("Gelu", "v", "va", {}), ("Gelu", "va", "aa", {"approximate": "tanh"})] \
        if opset >= 20 else \
        [("Div", "v k1.41421356", "va", {}), ("Erf", "va", "vb", {}), ("Add", "vb k1", "vc", {}),
         ("Mul", "v vc", "vd", {}), ("Mul", "vd k0.5", "aa", {})]
    return [("Reshape", "x n0_-1_8", "a", {}), ("Add", "a w24x8", "b", {}), *norm,
            ("MatMul", "m w8x8", "o", {}), ("Transpose", "o", "q", {"perm": [0, 2, 1]}),
            ("MatMul", "o q", "r", {}), ("Div", "r k3", "t", {}),
            ("Softmax", "t", "u", {"axis": 2}), ("MatMul", "u o", "v", {}), *gelu,
            ("Sigmoid", "aa", "ab", {}), ("Gather", "ab n0", "ac", {"axis": 1}),
            axes(opset, 13, "Squeeze", "ac", "ad", [1]), ("Identity", "ad", "y", {})]


def integers(opset):
    return [("QuantizeLinear", "x s0.01 z128", "a", {}), ("DequantizeLinear", "a s0.01 z128", "b", {}),
            ("Conv", "b w4x3x3x3", "c", {}), ("GlobalAveragePool", "c", "d", {}),
            ("Flatten", "d", "y", {})]


def reference(model):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "m.onnx").write_bytes(model.SerializeToString())
        count = int(numpy.prod(SHAPE))
        numpy.sin(numpy.arange(count) / 7).astype(numpy.float32).tofile(folder / "in.f32")
        subprocess.run(["node", here / "torchvision.js", sys.argv[1], folder / "m.onnx",
                        str(SHAPE[0]), str(SHAPE[2]), str(SHAPE[3]), folder / "in.f32",
                        folder / "out.f32", "1"], check=True, stdout=subprocess.DEVNULL)
        return numpy.fromfile(folder / "out.f32", numpy.float32)


for family in (shapes, layers, tokens, integers):
    for version in range(10 if family is integers else 9, 21):
        numbers = numpy.random.default_rng(version)
        made = network(version, family(version))
        print(version, family.__name__, made.SerializeToString().hex(),
              *("%.7g" % v for v in reference(made)))
