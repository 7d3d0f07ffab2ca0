#!/usr/bin/python3
"""Makes tests/golden/training/: torchvision's networks as ONNX graphs whose numbers are noughts, and
losses.txt, what ten steps of SGD lose in PyTorch.

The numbers come from a formula that tests/golden/test_training.c has too (fill() below), so that no
weights need to be kept. Needs PyTorch, torchvision, onnx and numpy; writes with 1.13 and 0.14.
usage: training.py [NETWORK...]"""
import gzip, io, os, sys
import numpy, onnx, torch, torchvision

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "training")
CLASSES, BATCH, SIDE, STEPS, SMOOTHING = 10, 16, 64, 10, 0.1
# Where PyTorch in float64 agrees with itself in float32 to a few 1e-4: with random numbers the deep
# networks soon multiply any rounding.
RATES = {"resnet18": 0.02, "mobilenet_v2": 0.0001, "mobilenet_v3_small": 0.02,
         "efficientnet_b0": 0.02, "densenet121": 0.0005}


def numbers(name, count):
    """In [-1, 1): a multiplicative hash of name and index."""
    seed = 2166136261
    for c in name.encode():
        seed = (seed ^ c) * 16777619 % 2**32
    i = numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(seed)
    z = (i * numpy.uint64(0x9E3779B97F4A7C15))
    z = (z ^ (z >> numpy.uint64(31))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> numpy.uint64(29)
    return (z >> numpy.uint64(40)).astype(numpy.float64) / 2.0**23 - 1


def fill(name, shape, kind):
    count = int(numpy.prod(shape)) if len(shape) else 1
    u = numbers(name, count)
    if kind == "weight":
        fan = count / shape[0]
        u = u * (6 / fan) ** 0.5 if len(shape) > 2 else u / fan**0.5
    elif kind == "scale":
        u = 1 + 0.2 * u
    elif kind in ("shift", "bias"):
        u = 0.1 * u
    else:
        u = numpy.full(count, 1.0 if kind == "variance" else 0.0)
    return torch.from_numpy(u.astype(numpy.float32).reshape(shape))


def set_numbers(model, head):
    with torch.no_grad():
        for path, module in model.named_modules():
            norm = isinstance(module, torch.nn.BatchNorm2d)
            names = {"weight": "scale" if norm else "weight", "bias": "shift" if norm else "bias"}
            if norm:
                names |= {"running_mean": "mean", "running_var": "variance"}
            for attribute, kind in names.items():
                value = getattr(module, attribute, None)
                if isinstance(value, torch.Tensor):
                    name = f"{'head' if module is head else path}.{attribute}"
                    value.copy_(fill(name, tuple(value.shape), kind))


def still(model):
    """Without what is random."""
    for m in model.modules():
        if isinstance(m, (torch.nn.Dropout, torchvision.ops.StochasticDepth)):
            m.p = 0.0
    return model


def networks():
    v = torchvision.models
    return {
        "resnet18": (lambda: v.resnet18(num_classes=CLASSES), lambda m: m.fc),
        "mobilenet_v2": (lambda: still(v.mobilenet_v2(num_classes=CLASSES)),
                         lambda m: m.classifier[-1]),
        "mobilenet_v3_small": (lambda: still(v.mobilenet_v3_small(num_classes=CLASSES)),
                               lambda m: m.classifier[-1]),
        "efficientnet_b0": (lambda: still(v.efficientnet_b0(num_classes=CLASSES)),
                            lambda m: m.classifier[-1]),
        "densenet121": (lambda: v.densenet121(num_classes=CLASSES), lambda m: m.classifier),
    }


def distinguish(model):
    """The exporter makes one initialiser of equal ones."""
    with torch.no_grad():
        for i, value in enumerate(model.state_dict().values()):
            if value.is_floating_point():
                value.uniform_().add_(i)


def export(name, model):
    stream = io.BytesIO()
    torch.onnx.export(model.eval(), torch.zeros(1, 3, SIDE, SIDE), stream, opset_version=13,
                      training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
                      input_names=["input"], output_names=["output"],
                      dynamic_axes={"input": {0: "N"}, "output": {0: "N"}})
    graph = onnx.load_from_string(stream.getvalue())
    for t in graph.graph.initializer:
        if t.data_type == onnx.TensorProto.FLOAT and len(t.dims):
            t.raw_data = bytes(len(t.raw_data))
    for n in graph.graph.node:
        n.doc_string = ""
    data = graph.SerializeToString()
    with open(os.path.join(HERE, name + ".onnx.gz"), "wb") as f:
        f.write(gzip.compress(data, 9, mtime=0))


def train(model, rate):
    model.train()
    x = torch.from_numpy(numbers("input", BATCH * 3 * SIDE * SIDE).astype(numpy.float32)
                         .reshape(BATCH, 3, SIDE, SIDE))
    target = torch.full((BATCH, CLASSES), SMOOTHING / CLASSES)
    for i in range(BATCH):
        target[i, i * 7 % CLASSES] += 1 - SMOOTHING
    optimiser = torch.optim.SGD(model.parameters(), rate)
    losses = []
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(model(x), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def main():
    os.makedirs(HERE, exist_ok=True)
    torch.manual_seed(1)
    lines = []
    for name, (make, head) in networks().items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        model = make()
        distinguish(model)
        export(name, model)
        set_numbers(model, head(model))
        losses = train(model, RATES[name])
        lines.append(" ".join([name, "%g" % RATES[name]] + ["%.7g" % x for x in losses]))
        print(lines[-1], flush=True)
    with open(os.path.join(HERE, "losses.txt"), "w") as f:
        f.write("# by tests/golden/training.py, PyTorch %s\n" % torch.__version__)
        f.write("\n".join(lines) + "\n")


main()
