"""Writes the network that kennel-small is trained from: an ONNX file with random weights.

    architecture.py > architecture.onnx

A ResNet (He et al. 2016) of basic blocks for pictures of 112 x 112 pixels: plain 3 x 3 convolutions,
because their backward pass is fast on a CPU, and normalisation left unfused, because it is trained.
Weights are PyTorch's usual ones (Kaiming, fan-out), seeded. Needs numpy and onnx; run once, and again
only when the network shall be another one. The size is told on standard error.
"""
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE, RESIZE, WIDTH, CLASSES = 112, 128, 256, 2
STAGES = [(32, 1), (64, 2), (128, 2)]  # channels, blocks; each begins by halving the sides
STEM = 24

random = numpy.random.default_rng(1)
nodes, weights = [], []
products = 0


def weight(name, array):
    weights.append(numpy_helper.from_array(array.astype(numpy.float32), name))
    return name


def conv(name, x, side, channels, out, kernel, stride):
    """Convolution and normalisation; returns the value and its side."""
    global products
    side = (side + stride - 1) // stride
    products += side * side * out * channels * kernel * kernel
    deviation = (2 / (out * kernel * kernel)) ** 0.5
    w = weight(name + ".weight", random.normal(0, deviation, (out, channels, kernel, kernel)))
    nodes.append(helper.make_node("Conv", [x, w], [name], name, kernel_shape=[kernel] * 2,
                                  strides=[stride] * 2, pads=[kernel // 2] * 4))
    norm = name + ".norm"
    nodes.append(helper.make_node(
        "BatchNormalization",
        [name, weight(norm + ".weight", numpy.ones(out)), weight(norm + ".bias", numpy.zeros(out)),
         weight(norm + ".running_mean", numpy.zeros(out)),
         weight(norm + ".running_var", numpy.ones(out))], [norm], norm, epsilon=1e-5))
    return norm, side


def relu(x):
    nodes.append(helper.make_node("Relu", [x], [x + ".relu"], x + ".relu"))
    return x + ".relu"


def block(name, x, side, channels, out, stride):
    y, half = conv(name + ".conv1", x, side, channels, out, 3, stride)
    y, _ = conv(name + ".conv2", relu(y), half, out, out, 3, 1)
    if channels != out:
        x, _ = conv(name + ".shortcut", x, side, channels, out, 1, stride)
    nodes.append(helper.make_node("Add", [y, x], [name], name))
    return relu(name), half


x, side = conv("stem", "picture", SIZE, 3, STEM, 3, 2)
x, channels = relu(x), STEM
for i, (out, blocks) in enumerate(STAGES):
    for j in range(blocks):
        x, side = block(f"stage{i + 1}.block{j + 1}", x, side, channels, out, 1 if j else 2)
        channels = out
x, side = conv("last", x, side, channels, WIDTH, 1, 1)
nodes.append(helper.make_node("GlobalAveragePool", [relu(x)], ["pooled"], "pooled"))
nodes.append(helper.make_node("Flatten", ["pooled"], ["feature"], "feature"))
bound = WIDTH ** -0.5
nodes.append(helper.make_node(
    "Gemm", ["feature", weight("head.weight", random.uniform(-bound, bound, (CLASSES, WIDTH))),
             weight("head.bias", numpy.zeros(CLASSES))], ["logits"], "head", transB=1))

graph = helper.make_graph(
    nodes, "kennel-small",
    [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])], weights)
model = helper.make_model(graph, producer_name="kennel", ir_version=7,
                          opset_imports=[helper.make_opsetid("", 13)])
helper.set_model_props(model, {"mean": "123.675,116.28,103.53", "std": "58.395,57.12,57.375",
                               "color_order": "RGB", "input_size": str(SIZE),
                               "resize": str(RESIZE), "feature_tensor": "feature"})
onnx.checker.check_model(model, full_check=True)
file = model.SerializeToString()
print(f"{sum(numpy.prod(w.dims) for w in weights)} parameters, {len(file)} bytes, "
      f"{2 * products / 1e6:.0f} MFLOP a picture forward", file=sys.stderr)
sys.stdout.buffer.write(file)
