"""Cuts the head off a network that Kennel trained, so that a backbone is left.

    cut.py MODEL.onnx > BACKBONE.onnx

Kept: the nodes and weights that the feature tensor (named in the metadata, else "feature") is made of,
and the metadata that say how pictures are prepared. Needs onnx.
"""
import sys

import onnx
from onnx import helper

KEPT = ("mean", "std", "color_order", "input_size", "resize")

model = onnx.load(sys.argv[1])
graph, meta = model.graph, {p.key: p.value for p in model.metadata_props}
feature = meta.get("kennel.feature_tensor") or meta.get("feature_tensor", "feature")
maker = {name: node for node in graph.node for name in node.output}
if feature not in maker:
    sys.exit(f"cut.py: {sys.argv[1]} has no tensor {feature}")

needed, seen = [feature], set()
while needed:
    name = needed.pop()
    if name not in seen:
        seen.add(name)
        needed += maker[name].input if name in maker else []
output = next(v for v in onnx.shape_inference.infer_shapes(model).graph.value_info
              if v.name == feature)
cut = helper.make_graph(
    [node for node in graph.node if seen.intersection(node.output)], "kennel-small",
    [value for value in graph.input if value.name in seen],
    [output],
    [weight for weight in graph.initializer if weight.name in seen])
backbone = helper.make_model(cut, producer_name="kennel", ir_version=model.ir_version,
                             opset_imports=model.opset_import)
helper.set_model_props(backbone, {key: meta[key] for key in KEPT if key in meta}
                       | {"feature_tensor": feature})
onnx.checker.check_model(backbone)
sys.stdout.buffer.write(backbone.SerializeToString())
