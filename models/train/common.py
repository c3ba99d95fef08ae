"""What the model scripts share: where models lie, ONNX export, manifests."""
import hashlib
import json
import os
import sys
import warnings

import onnx
import torch

OPSET = 17


def models_dir():
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def export_onnx(net, example, path, inputs, outputs, fixed=()):
    """Exports with a free batch dimension (but in the inputs named `fixed`), checks the file, returns figures for the manifest."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    axes = {name: {0: "batch"} for name in [*inputs, *outputs] if name not in fixed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, example, path, input_names=inputs, output_names=outputs, opset_version=OPSET, dynamic_axes=axes, do_constant_folding=True
        )
    model = onnx.load(path)
    del model.metadata_props[:]
    model.producer_name, model.producer_version, model.doc_string = "evoked", "", ""
    for node in model.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return {"opset": OPSET, "exportedWith": "torch " + torch.__version__.split("a")[0]}


def write_manifest(folder, manifest):
    """Completes the manifest with hash and size of its file and writes it."""
    with open(os.path.join(folder, manifest["file"]), "rb") as file:
        data = file.read()
    full = {**manifest, "sha256": hashlib.sha256(data).hexdigest(), "sizeBytes": len(data)}
    with open(os.path.join(folder, "manifest.json"), "w", encoding="utf-8") as file:
        json.dump(full, file, indent=2, ensure_ascii=False)
        file.write("\n")
    print(f"{manifest['id']}: {len(data) / 1e6:.2f} MB, sha256 {full['sha256'][:12]}", file=sys.stderr)
