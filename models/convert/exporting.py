"""From a network in PyTorch to an ONNX file with its manifest: export, comparison with ONNX Runtime, manifest.

ONNX Runtime is the app's own: seeded inputs and the network's outputs are written to a folder, and
src/models/compareOutputs.ts runs the ONNX file on them. Knows nothing about single networks.
"""
import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPOSITORY, "models", "train"))

from common import export_onnx, write_manifest  # noqa: E402
from weights import Refused  # noqa: E402

SEED = 20240611
BATCH = 3
# Largest difference between ONNX Runtime and PyTorch, as a share of an output's largest value.
SHARE_MAX = 1e-4

MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]


def arguments(description, files):
    """Command line of a converter: its weight files, the folder to write, where they came from."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, text in files:
        parser.add_argument(name, help=text)
    parser.add_argument("--out", required=True, help="folder of the new model; its name is up to you, the id is in the manifest")
    parser.add_argument("--source", default="", help="address that the weights came from, for the manifest")
    return parser


def run(main):
    """Ends with a sentence and code 3 where the file is refused; anything else is a defect and shows its stack."""
    try:
        main()
    except Refused as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        sys.exit(3)
    except FileNotFoundError as error:
        print(f"refused: Expected the file {error.filename}, but it is not there.", file=sys.stderr)
        sys.exit(3)


def fill(net, weights, what):
    """Loads `weights` (name -> array) into a network, strictly: names and shapes must be those of the architecture."""
    own = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    given = {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}
    missing = [name for name in own if name not in given]
    surplus = [name for name in given if name not in own]
    if missing or surplus:
        parts = []
        if missing:
            parts.append(f"lacks {len(missing)} weights ({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''})")
        if surplus:
            parts.append(f"has {len(surplus)} that it does not know ({', '.join(surplus[:3])}{', ...' if len(surplus) > 3 else ''})")
        raise Refused(f"Expected the weights of {what}; the file {' and '.join(parts)}. It is of another architecture: choose the right model or file.")
    for name, value in own.items():
        if tuple(value.shape) != tuple(given[name].shape):
            raise Refused(f'Expected "{name}" of {what} in the shape {list(value.shape)}, got {list(given[name].shape)}. The file is of another architecture.')
    net.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(given[name])) for name in own}, strict=False)
    return net.eval()


def find_node():
    """A Node that runs TypeScript: EVOKED_NODE, or any Node through the repository's starter."""
    named = os.environ.get("EVOKED_NODE")
    if named:
        return [named]
    node = shutil.which("node")
    if node is None:
        raise Refused("Expected Node on the search path to check the converted model, found none. Install Node 20 or later.")
    return [node, os.path.join(REPOSITORY, "scripts", "node24.mjs")]


def compare(onnx_path, inputs, outputs):
    """Runs the ONNX file on `inputs` in ONNX Runtime; largest difference from `outputs` per output, absolute and as a share."""
    with tempfile.TemporaryDirectory() as folder:
        def put(kind, tensors):
            listed = []
            for index, (name, values) in enumerate(tensors.items()):
                file = f"{kind}{index}.f32"
                np.ascontiguousarray(values, dtype="<f4").tofile(os.path.join(folder, file))
                listed.append({"name": name, "dims": list(np.shape(values)), "file": file})
            return listed

        with open(os.path.join(folder, "case.json"), "w", encoding="utf-8") as file:
            json.dump({"model": os.path.abspath(onnx_path), "inputs": put("in", inputs), "outputs": put("out", outputs)}, file)
        command = [*find_node(), os.path.join(REPOSITORY, "src", "models", "compareOutputs.ts"), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Refused(f"ONNX Runtime did not run the converted model: {done.stderr.strip()[-600:] or done.stdout[-600:]}")
        return json.loads(done.stdout.strip().splitlines()[-1])


def checked_figures(onnx_path, inputs, outputs):
    """Figures for the manifest; Refused where ONNX Runtime computes something else than PyTorch."""
    found = compare(onnx_path, inputs, outputs)
    worst = max(found, key=lambda line: line["share"])
    if not worst["share"] <= SHARE_MAX:
        raise Refused(
            f'ONNX Runtime gives something else than PyTorch in "{worst["name"]}": they differ by {worst["share"]:.2g} of its largest value, at most {SHARE_MAX:.0e} is allowed. '
            "Please report this with the versions of torch and onnx."
        )
    return {
        "comparedWith": "torch " + torch.__version__.split("a")[0],
        "comparedInputs": int(next(iter(inputs.values())).shape[0]),
        "largestDifference": float(worst["largest"]),
        "largestDifferenceShare": float(worst["share"]),
        "largestDifferenceIn": worst["name"],
    }


def export_checked(net, example_inputs, path, input_names, output_names, compare_inputs=None, fixed_inputs=()):
    """ONNX file at `path`; figures for the manifest; the shapes of the outputs after the batch."""
    figures = export_onnx(net, tuple(example_inputs), path, inputs=input_names, outputs=output_names, fixed=fixed_inputs)
    given = compare_inputs or example_inputs
    with torch.no_grad():
        outputs = net(*given)
    outputs = [outputs] if torch.is_tensor(outputs) else list(outputs)
    arrays = {name: value.detach().numpy() for name, value in zip(output_names, outputs)}
    # A random network may be anywhere, a wrong one is NaN: caught here, before anybody waits for it.
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise Refused(f'The network gives NaN or infinite values in "{name}" for ordinary inputs. Its weights are damaged or of another architecture.')
    figures |= checked_figures(path, {name: value.numpy() for name, value in zip(input_names, given)}, arrays)
    return figures, [list(value.shape[1:]) for value in outputs]


def made_by(script):
    """The command of this run without machine-dependent folders."""
    words, out = [], []
    it = iter(sys.argv[1:])
    for word in it:
        if word in ("--out", "--source"):
            next(it, None)
        else:
            words.append(os.path.basename(word) if os.path.exists(word) else word)
    out = ["python3", f"models/convert/{script}", *words, "--out", "FOLDER"]
    return " ".join(shlex.quote(word) for word in out)


def write(folder, manifest):
    write_manifest(folder, manifest)
    print(json.dumps({"id": manifest["id"], "folder": os.path.abspath(folder), "measured": manifest["measured"]}))


def seeded_images(size_px, mean, std, value_range=(0.0, 1.0), count=BATCH):
    """Smooth seeded pictures in a network's own scale, [count, 3, size, size]."""
    g = torch.Generator().manual_seed(SEED)
    coarse = torch.rand(count, 3, 16, 16, generator=g)
    images = torch.nn.functional.interpolate(coarse, size=(size_px, size_px), mode="bicubic", align_corners=False).clamp(0, 1)
    images = images * (value_range[1] - value_range[0]) + value_range[0]
    return (images - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def run_onnx(path, inputs, outputs):
    """Outputs of an ONNX file in ONNX Runtime, flat float32 arrays by name."""
    with tempfile.TemporaryDirectory() as folder:
        listed = []
        for index, (name, values) in enumerate(inputs.items()):
            np.ascontiguousarray(values, dtype="<f4").tofile(os.path.join(folder, f"in{index}.f32"))
            listed.append({"name": name, "dims": list(np.shape(values)), "file": f"in{index}.f32"})
        with open(os.path.join(folder, "case.json"), "w", encoding="utf-8") as file:
            json.dump({"model": os.path.abspath(path), "inputs": listed, "outputs": [], "write": list(outputs)}, file)
        done = subprocess.run([*find_node(), os.path.join(REPOSITORY, "src", "models", "compareOutputs.ts"), folder], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Refused(f"ONNX Runtime did not run the model: {done.stderr.strip()[-600:] or done.stdout[-600:]}")
        return {name: np.fromfile(os.path.join(folder, f"result{index}.f32"), "<f4") for index, name in enumerate(outputs)}
