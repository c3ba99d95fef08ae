#!/usr/bin/python3
"""LPIPS (Zhang et al. 2018, version 0.1, AlexNet): perceptual distance of two images.

The distance is a weighted squared difference of unit-length features, so every image has a vector of its own - each layer's
features at unit length times the square root of weight / (height x width) - and LPIPS is the squared Euclidean distance of two
such vectors. The converted model gives that vector: n images cost n runs, not n x n.

    /usr/bin/python3 models/convert/lpips_alex.py alexnet-owt-7be5be79.pth alex.pth --out ~/Evoked/models/lpips-alex
"""
import os

import numpy as np
import torch
import torchvision

import exporting
from weights import Refused, read_state_dict

SIZE_PX = 256
SHIFT = [-0.030, -0.088, -0.188]
SCALE = [0.458, 0.448, 0.450]
# Index of the ReLU behind each convolution of torchvision's AlexNet, and its channels.
TAPS = [(1, 64), (4, 192), (7, 384), (9, 256), (11, 256)]


class PerceptualVector(torch.nn.Module):
    def __init__(self, features, weights):
        super().__init__()
        self.features = features
        for index, weight in enumerate(weights):
            self.register_buffer(f"root{index}", torch.sqrt(torch.from_numpy(weight))[None, :, None, None])

    def forward(self, image):
        x, parts, taps = image, [], [index for index, _ in TAPS]
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in taps:
                k = len(parts)
                unit = x / (torch.sqrt((x * x).sum(1, keepdim=True)) + 1e-10)
                scaled = unit * (getattr(self, f"root{k}") / float(np.sqrt(x.shape[2] * x.shape[3])))
                parts.append(torch.flatten(scaled, 1))
            if len(parts) == len(taps):
                break
        return torch.cat(parts, 1)


def main():
    args = exporting.arguments(__doc__, [("backbone", "torchvision's AlexNet file"), ("linear", "lpips/weights/v0.1/alex.pth of PerceptualSimilarity")]).parse_args()
    state, _ = read_state_dict(args.backbone)
    net = exporting.fill(torchvision.models.alexnet(weights=None), state, "AlexNet")
    linear, _ = read_state_dict(args.linear)
    weights = []
    for index, (_, channels) in enumerate(TAPS):
        values = linear.get(f"lin{index}.model.1.weight")
        if values is None or values.size != channels:
            raise Refused(f'Expected {channels} weights "lin{index}.model.1.weight" in {os.path.basename(args.linear)}, got {"none" if values is None else values.size}. Take weights/v0.1/alex.pth.')
        if (values < 0).any():
            raise Refused(f'The weights "lin{index}" are negative in places; those of LPIPS are not. Take weights/v0.1/alex.pth.')
        weights.append(values.reshape(-1))
    for module in net.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False
    vector = PerceptualVector(net.features, weights).eval()
    images = exporting.seeded_images(SIZE_PX, SHIFT, SCALE, (-1.0, 1.0))
    path = os.path.join(args.out, "lpips-alex.onnx")
    figures, shapes = exporting.export_checked(vector, [images[:2]], path, ["image"], ["vector"], compare_inputs=[images])
    exporting.write(args.out, {
        "kind": "encoder", "id": "lpips-alex", "title": "LPIPS (AlexNet)",
        "description": "Perceptual distance of two images (Zhang et al. 2018, v0.1): the squared Euclidean distance of their vectors.",
        "file": "lpips-alex.onnx", "licence": "BSD-2-Clause (LPIPS), BSD-3-Clause (torchvision)", "source": args.source or "imported from files",
        "madeBy": exporting.made_by("lpips_alex.py"), "measured": figures,
        "input": {"name": "image", "width": SIZE_PX, "height": SIZE_PX, "range": [-1, 1], "mean": SHIFT, "std": SCALE},
        "layers": [{"name": "vector", "output": "vector", "dim": shapes[0][0], "shape": shapes[0]}], "penultimate": "vector",
    })


if __name__ == "__main__":
    exporting.run(main)
