#!/usr/bin/python3
"""YOLOv7 (Wang et al. 2022): boxes and objectness of images of 640 x 640 px.

Takes the ONNX file of the official export, raw or with suppression of overlapping boxes at its end:
    python export.py --weights yolov7.pt --grid --img-size 640 640                       raw boxes
    python export.py --weights yolov7.pt --grid --end2end --max-wh 640 ...               after suppression
The suppression is cut off: the app does its own, on whole batches, and the score of the best box needs the boxes before it.
The batch dimension is made free. yolov7.pt itself is a pickled program and is not opened.

    /usr/bin/python3 models/convert/yolov7.py yolov7.onnx --out ~/Evoked/models/yolov7
"""
import os

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

import exporting
from weights import Refused

WIDTH = 85
EXPORT = "python export.py --weights yolov7.pt --grid --img-size 640 640"


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    if data[:2] == b"PK" or data[:1] == b"\x80":
        raise Refused(f"The file is a PyTorch file, which for YOLOv7 is a pickled program and is not opened. Export it with the official repository: {EXPORT}")
    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        raise Refused(f"The file does not read as an ONNX model ({str(error).splitlines()[0][:160]}). It is truncated or of another kind: export it again with {EXPORT}") from None
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if not 11 <= opset <= 22:
        raise Refused(f"Expected ONNX operator set 11 to 22, got {opset}. Export it again with the official repository: {EXPORT}")
    return model, opset


def find_raw_output(model):
    """Name of the tensor [batch, boxes, 85], and whether boxes are suppressed behind it."""
    graph = model.graph
    try:
        shaped = onnx.shape_inference.infer_shapes(model)
    except Exception:  # noqa: BLE001 - shapes are a help, not a need
        shaped = model
    widths = {}
    for value in [*shaped.graph.value_info, *shaped.graph.output]:
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 3:
            widths[value.name] = dims[2].dim_value
    if any(node.op_type == "EfficientNMS_TRT" for node in graph.node):
        raise Refused(f"The file was exported for TensorRT alone (EfficientNMS_TRT). Export it for ONNX Runtime: {EXPORT}")
    suppression = [node for node in graph.node if node.op_type == "NonMaxSuppression"]
    if not suppression:
        for output in graph.output:
            if widths.get(output.name) == WIDTH:
                return output.name, False
        raise Refused(f"Expected an output [batch, boxes, {WIDTH}], found {', '.join(output.name for output in graph.output)}. Export it with --grid: {EXPORT}")
    # Against the data from the suppression to the one tensor of rows that all of it comes from.
    producers = {name: node for node in graph.node for name in node.output}
    waiting, seen = list(suppression[0].input[:2]), set()
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        node = producers.get(name)
        if node is None:
            continue
        if node.op_type == "Concat" and (widths.get(name) == WIDTH or (name not in widths and all(p.op_type == "Reshape" for p in [producers.get(i) for i in node.input] if p is not None))):
            return name, True
        waiting.extend(node.input)
    raise Refused(f"The boxes before the suppression were not found in the graph. Export the raw boxes: {EXPORT}")


def free_batch(model):
    """Reshapes that were written with a batch of 1 take the batch of their input instead."""
    graph = model.graph
    constants = {weight.name: weight for weight in graph.initializer}
    nodes = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type != "Reshape":
            continue
        shape = constants.get(node.input[1])
        source = nodes.get(node.input[1])
        if shape is None and source is not None and source.op_type == "Constant":
            shape = source.attribute[0].t
        if shape is None:
            continue
        values = numpy_helper.to_array(shape).copy()
        if values.ndim == 1 and len(values) >= 3 and values[0] == 1:
            values[0] = 0
            shape.CopyFrom(numpy_helper.from_array(values, shape.name))
    for value in [graph.input[0], *graph.output]:
        dim = value.type.tensor_type.shape.dim[0]
        dim.Clear()
        dim.dim_param = "batch"


def cut(model, raw, boxes):
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output}
    keep, waiting = set(), [raw]
    while waiting:
        node = producers.get(waiting.pop())
        if node is None or id(node) in keep:
            continue
        keep.add(id(node))
        waiting.extend(node.input)
    nodes = [node for node in graph.node if id(node) in keep]
    used = {name for node in nodes for name in node.input}
    weights = [weight for weight in graph.initializer if weight.name in used]
    del graph.node[:], graph.initializer[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
    for node in graph.node:
        node.doc_string = ""
        node.output[:] = ["boxes" if name == raw else name for name in node.output]
        node.input[:] = ["boxes" if name == raw else name for name in node.input]
    graph.output.append(onnx.helper.make_tensor_value_info("boxes", onnx.TensorProto.FLOAT, ["batch", boxes, WIDTH]))
    del model.metadata_props[:]
    model.doc_string = ""


def count_boxes(height, width):
    return sum(3 * (height // stride) * (width // stride) for stride in (8, 16, 32))


def class_names():
    listed = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    return [name for name in listed if name not in ("__background__", "N/A")]


def main():
    args = exporting.arguments(__doc__, [("model", "ONNX file of the official export")]).parse_args()
    model, opset = read(args.model)
    weight_names = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weight_names]
    dims = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim] if len(inputs) == 1 else []
    if len(dims) != 4 or dims[1] != 3 or dims[2] <= 0 or dims[3] <= 0:
        raise Refused(f"Expected one input [batch, 3, height, width], got {[(v.name, dims) for v in inputs]}. It is of another architecture: {EXPORT}")
    if inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise Refused(f"Expected the input in float32. Export without --fp16: {EXPORT}")
    for weight in model.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT and not np.isfinite(numpy_helper.to_array(weight)).all():
            raise Refused(f'The weight "{weight.name}" holds NaN or infinite values. The file is damaged: get it again.')
    height, width = dims[2], dims[3]
    boxes = count_boxes(height, width)
    raw, suppressed = find_raw_output(model)
    original = model.SerializeToString()
    images = exporting.seeded_images(height, [0, 0, 0], [1, 1, 1], count=2)[:, :, :, :width].contiguous()

    cut(model, raw, boxes)
    free_batch(model)
    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, "yolov7.onnx")
    onnx.checker.check_model(model, full_check=False)
    onnx.save(model, path)

    # The source is an ONNX file already: the reference is the official file itself, one image at a time.
    reference_path = os.path.join(args.out, "official.tmp.onnx")
    try:
        official = onnx.load_model_from_string(original)
        if raw not in [output.name for output in official.graph.output]:
            official.graph.output.append(onnx.helper.make_tensor_value_info(raw, onnx.TensorProto.FLOAT, None))
        onnx.save(official, reference_path)
        figures = compare_with_official(path, reference_path, inputs[0].name, raw, images.numpy(), boxes)
    finally:
        if os.path.exists(reference_path):
            os.remove(reference_path)
    exporting.write(args.out, {
        "kind": "detector", "id": "yolov7", "title": "YOLOv7", "description": "Object detector (Wang et al. 2022): objectness is its best box's score.",
        "file": "yolov7.onnx", "licence": "GPL-3.0 (YOLOv7)", "source": args.source or "imported from a file", "madeBy": exporting.made_by("yolov7.py"),
        "measured": {**figures, "opset": opset, "sourceForm": "after suppression, cut off" if suppressed else "raw boxes"},
        "input": {"name": inputs[0].name, "width": width, "height": height, "range": [0, 1]},
        "output": {"name": "boxes", "boxes": boxes}, "classes": class_names(),
    })


def compare_with_official(path, official, input_name, raw, images, boxes):
    """One image at a time through the official file, all at once through the converted one."""
    singles = [exporting.run_onnx(official, {input_name: images[i : i + 1]}, [raw])[raw].reshape(boxes, WIDTH) for i in range(len(images))]
    figures = exporting.checked_figures(path, {input_name: images}, {"boxes": np.stack(singles)})
    return {**figures, "comparedWith": "the official ONNX file, one image at a time"}


if __name__ == "__main__":
    exporting.run(main)
