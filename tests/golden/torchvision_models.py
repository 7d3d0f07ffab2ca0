"""Writes torchvision's networks as ONNX files, with random weights under which every layer matters.

    torchvision_models.py FOLDER [NAME...]

Needs Debian's python3-torchvision. An untrained network is a bad test: its activations fade or
grow from layer to layer, and some heads and branches begin at nought. So every normalisation is given
a random scale and offset and the statistics of what really reaches it, branches that are scaled down
at the start are scaled up, and the last layer spreads its classes. The same seed gives the same file.
"""
import pathlib
import sys
import warnings

import torch
import torchvision.models

SEED = 7

# Name, constructor, operator set, height, width. GoogLeNet transforms its input like the trained one.
NETWORKS = [
    ("resnet18", "resnet18", 13, 224, 224),
    ("resnet50", "resnet50", 17, 224, 224),
    ("wide_resnet50", "wide_resnet50_2", 13, 224, 224),
    ("resnext50", "resnext50_32x4d", 17, 224, 224),
    ("mobilenet_v2", "mobilenet_v2", 9, 224, 224),
    ("mobilenet_v3_small", "mobilenet_v3_small", 13, 224, 224),
    ("mobilenet_v3_large", "mobilenet_v3_large", 17, 224, 224),
    ("efficientnet_b0", "efficientnet_b0", 13, 224, 224),
    ("densenet121", "densenet121", 17, 224, 224),
    ("squeezenet1_1", "squeezenet1_1", 13, 224, 224),
    ("shufflenet_v2", "shufflenet_v2_x1_0", 13, 224, 224),
    ("regnet_y_400mf", "regnet_y_400mf", 17, 224, 224),
    ("regnet_x_400mf", "regnet_x_400mf", 11, 224, 224),
    ("mnasnet1_0", "mnasnet1_0", 13, 224, 224),
    ("googlenet", "googlenet", 13, 224, 224),
    ("vgg11", "vgg11", 13, 224, 224),
    ("convnext_tiny", "convnext_tiny", 13, 224, 224),
    ("convnext_tiny_17", "convnext_tiny", 17, 224, 224),
    ("vit_b_16", "vit_b_16", 13, 224, 224),
    ("vit_b_16_17", "vit_b_16", 17, 224, 224),
    ("mobilenet_v2_160x128", "mobilenet_v2", 17, 160, 128),
    ("resnet18_288x320", "resnet18", 17, 288, 320),
    ("shufflenet_v2_192", "shufflenet_v2_x1_0", 17, 192, 192),
    ("convnext_tiny_160", "convnext_tiny", 17, 160, 160),
]


def build(constructor):
    more = {"googlenet": {"aux_logits": False, "init_weights": False, "transform_input": True}}
    return getattr(torchvision.models, constructor)(weights=None, **more.get(constructor, {}))


def scramble(model):
    """Scales and offsets that are not 1 and 0; nothing that begins at nought stays there."""
    for name, p in model.named_parameters():
        if name.endswith("layer_scale"):
            torch.nn.init.uniform_(p, 0.1, 0.5)
        elif p.ndim == 1 and name.endswith("weight"):
            torch.nn.init.uniform_(p, 0.6, 1.4)
        elif p.ndim == 1:
            torch.nn.init.normal_(p, 0, 0.1)
    heads = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    heads = heads[-1:] or [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)][-1:]
    for head in heads:
        fan_in = head.weight[0].numel()
        torch.nn.init.normal_(head.weight, 0, 2 / fan_in ** 0.5)


def settle(model, height, width):
    """Running statistics of what reaches each batch normalisation."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for _ in range(2):
            model(torch.randn(4, 3, height, width))


def export(entry, folder):
    name, constructor, opset, height, width = entry
    torch.manual_seed(SEED)
    model = build(constructor).eval()
    scramble(model)
    settle(model, height, width)
    model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, torch.randn(1, 3, height, width), str(folder / (name + ".onnx")),
                          opset_version=opset, input_names=["input"], output_names=["output"],
                          dynamic_axes={"input": {0: "N"}, "output": {0: "N"}})


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    for item in NETWORKS:
        if not sys.argv[2:] or item[0] in sys.argv[2:]:
            export(item, target)
            print(item[0], flush=True)
