#!/usr/bin/python3
"""DeePSiM fc6 (Dosovitskiy & Brox 2016): latent of 4096 numbers -> image of 256 x 256 px.

Takes any of the three published forms and tells them apart by itself:
  - generator.caffemodel of the original release, or the release's zip file as it is;
  - upconvGAN_fc6.pt, the same weights for PyTorch;
  - the copy with other key names (deconv5_0, deconv5_1, ...) and no biases in its convolutions.

    /usr/bin/python3 models/convert/deepsim_fc6.py release_deepsim_v0.zip --out ~/Evoked/models/deepsim-fc6
"""
import os
import zipfile

import torch

import exporting
from weights import Refused, check_numbers, read_caffemodel, read_state_dict

DENSE = ["defc7", "defc6", "defc5"]
# name, inputs, outputs, kernel, stride; every one a transposed convolution with padding 1.
CONVOLUTIONS = [
    ("deconv5", 256, 256, 4, 2), ("conv5_1", 256, 512, 3, 1), ("deconv4", 512, 256, 4, 2), ("conv4_1", 256, 256, 3, 1), ("deconv3", 256, 128, 4, 2),
    ("conv3_1", 128, 128, 3, 1), ("deconv2", 128, 64, 4, 2), ("deconv1", 64, 32, 4, 2), ("deconv0", 32, 3, 4, 2),
]
RENAMED = {"deconv5_0": "deconv5", "deconv5_1": "conv5_1", "deconv4_0": "deconv4", "deconv4_1": "conv4_1", "deconv3_0": "deconv3", "deconv3_1": "conv3_1"}
MEAN_BGR = [104.0, 117.0, 123.0]


class DeepSim(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name in DENSE:
            self.add_module(name, torch.nn.Linear(4096, 4096))
        for name, inputs, outputs, kernel, stride in CONVOLUTIONS:
            self.add_module(name, torch.nn.ConvTranspose2d(inputs, outputs, kernel, stride=stride, padding=1))

    def forward(self, latent):
        x = latent
        for name in DENSE:
            x = torch.nn.functional.leaky_relu(getattr(self, name)(x), 0.3)
        x = x.reshape(-1, 256, 4, 4)
        for name, *_ in CONVOLUTIONS[:-1]:
            x = torch.nn.functional.leaky_relu(getattr(self, name)(x), 0.3)
        return self.deconv0(x)


def read_caffe(data):
    weights = {}
    layers = read_caffemodel(data)
    for name in [*DENSE, *(c[0] for c in CONVOLUTIONS)]:
        blobs = layers.get(name)
        if blobs is None or len(blobs) > 2:
            raise Refused(f'Expected a layer "{name}" with weights and biases in the caffemodel; it has {", ".join(layers)}. It is not the fc6 generator: take fc6/generator.caffemodel of the release.')
        # Old caffemodels pad every shape to four dimensions.
        weights[f"{name}.weight"] = blobs[0].reshape(blobs[0].shape[-2:]) if name in DENSE else blobs[0]
        if len(blobs) == 2:
            weights[f"{name}.bias"] = blobs[1].reshape(-1)
    return check_numbers(weights), "caffemodel"


def read(path):
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith("fc6/generator.caffemodel")]
            if members:
                return read_caffe(archive.read(members[0]))
    if path.endswith(".caffemodel"):
        with open(path, "rb") as file:
            return read_caffe(file.read())
    state, _ = read_state_dict(path)
    weights, form = {}, "PyTorch file"
    for name, values in state.items():
        layer, _, kind = name.replace(".1.", ".").rpartition(".")
        if layer in RENAMED:
            form = "PyTorch copy with other names"
        weights[f"{RENAMED.get(layer, layer)}.{kind}"] = values
    return weights, form


def main():
    args = exporting.arguments(__doc__, [("weights", "generator.caffemodel, the release's zip file, or a PyTorch file")]).parse_args()
    weights, form = read(args.weights)
    had_biases = any(f"{name}.bias" in weights for name, *_ in CONVOLUTIONS)
    for name, _, outputs, *_ in CONVOLUTIONS:
        # A file has the biases of all convolutions or of none; one missing among others is a damaged file and refused below.
        if not had_biases:
            weights[f"{name}.bias"] = torch.zeros(outputs).numpy()
    net = exporting.fill(DeepSim(), weights, "DeePSiM fc6")
    g = torch.Generator().manual_seed(exporting.SEED)
    latents = torch.randn(exporting.BATCH, 4096, generator=g) * 3
    path = os.path.join(args.out, "deepsim-fc6.onnx")
    figures, _ = exporting.export_checked(net, [latents], path, ["latent"], ["image"])
    exporting.write(args.out, {
        "kind": "generator", "id": "deepsim-fc6", "title": "DeePSiM fc6",
        "description": "Generator that inverts AlexNet's fc6 layer (Dosovitskiy & Brox 2016): 4096 numbers to an image of 256 x 256 px.",
        "file": "deepsim-fc6.onnx", "licence": "research use only, see the release's readme", "source": args.source or "imported from a file",
        "madeBy": exporting.made_by("deepsim_fc6.py"), "measured": {**figures, "sourceForm": form, "convolutionBiases": had_biases},
        "input": {"name": "latent", "dim": 4096},
        # The graph gives BGR minus the mean, on a scale of 0 to 255.
        "output": {"name": "image", "width": 256, "height": 256, "range": [0, 255], "channels": "bgr", "mean": MEAN_BGR},
        "latent": {"initialStepSize": 3.0, "typicalNorm": 300.0},
    })


if __name__ == "__main__":
    exporting.run(main)
