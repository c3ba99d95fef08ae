#!/usr/bin/python3
"""BigGAN-deep-256 (Brock et al. 2019): 128 noise numbers + 128 of a class embedding -> image of 256 x 256 px.

Takes the PyTorch file of the TF Hub weights (biggan-deep-256-pytorch_model.bin). The class embedding is part of the latent, so
that an evolution moves through it; the truncation is an input of its own, and the tables of batch statistics that it
selects from are in the graph. Between two rows of a table the values are interpolated linearly; the port that the file comes
from swaps the two weights there, which is not repeated. On a row (0.02, 0.04, ..., 0.7 is one) the two are the same.

    /usr/bin/python3 models/convert/biggan_deep_256.py biggan-deep-256-pytorch_model.bin --out ~/Evoked/models/biggan-deep-256
"""
import os

import numpy as np
import torch
import torch.nn.functional as F

import exporting
from weights import Refused, read_state_dict

CHANNELS = 128
EPSILON = 1e-4
ROWS = 51
# upsamples, inputs, outputs, in units of CHANNELS; attention stands before the block at ATTENTION_AT.
BLOCKS = [
    (False, 16, 16), (True, 16, 16), (False, 16, 16), (True, 16, 8), (False, 8, 8), (True, 8, 8),
    (False, 8, 8), (True, 8, 4), (False, 4, 4), (True, 4, 2), (False, 2, 2), (True, 2, 1),
]
ATTENTION_AT = 8
TRUNCATION = 0.7


class Statistics(torch.nn.Module):
    """Mean and variance of a batch normalisation at a truncation: `shares` [51] says how much of each row of the tables."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("running_means", torch.zeros(ROWS, channels))
        self.register_buffer("running_vars", torch.ones(ROWS, channels))

    def select(self, shares):
        mean = shares @ self.running_means
        return mean, torch.rsqrt(shares @ self.running_vars + EPSILON)


class ConditionalNorm(Statistics):
    def __init__(self, channels):
        super().__init__(channels)
        self.scale = torch.nn.Linear(256, channels, bias=False)
        self.offset = torch.nn.Linear(256, channels, bias=False)

    def forward(self, x, condition, shares):
        mean, inverse = self.select(shares)
        # One multiplication and one addition per value: all else happens on [batch, channels].
        gain = (1 + self.scale(condition)) * inverse
        return x * gain[:, :, None, None] + (self.offset(condition) - mean * gain)[:, :, None, None]


class FinalNorm(Statistics):
    def __init__(self, channels):
        super().__init__(channels)
        self.weight = torch.nn.Parameter(torch.ones(channels))
        self.bias = torch.nn.Parameter(torch.zeros(channels))

    def forward(self, x, shares):
        mean, inverse = self.select(shares)
        gain = self.weight * inverse
        return x * gain[:, None, None] + (self.bias - mean * gain)[:, None, None]


class Block(torch.nn.Module):
    def __init__(self, upsamples, inputs, outputs):
        super().__init__()
        middle = inputs // 4
        self.upsamples, self.inputs, self.outputs = upsamples, inputs, outputs
        self.bn_0, self.conv_0 = ConditionalNorm(inputs), torch.nn.Conv2d(inputs, middle, 1)
        self.bn_1, self.conv_1 = ConditionalNorm(middle), torch.nn.Conv2d(middle, middle, 3, padding=1)
        self.bn_2, self.conv_2 = ConditionalNorm(middle), torch.nn.Conv2d(middle, middle, 3, padding=1)
        self.bn_3, self.conv_3 = ConditionalNorm(middle), torch.nn.Conv2d(middle, outputs, 1)

    def forward(self, x, condition, shares):
        y = self.conv_0(F.relu(self.bn_0(x, condition, shares)))
        y = F.relu(self.bn_1(y, condition, shares))
        if self.upsamples:
            y = F.interpolate(y, scale_factor=2, mode="nearest")
        y = self.conv_2(F.relu(self.bn_2(self.conv_1(y), condition, shares)))
        y = self.conv_3(F.relu(self.bn_3(y, condition, shares)))
        # Fewer channels at the end: the first half is carried over.
        if self.inputs != self.outputs:
            x = x[:, : self.inputs // 2]
        if self.upsamples:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        return x + y


class Attention(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        self.snconv1x1_theta = torch.nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.snconv1x1_phi = torch.nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.snconv1x1_g = torch.nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.snconv1x1_o_conv = torch.nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, _condition, _shares):
        size = 64
        theta = self.snconv1x1_theta(x).reshape(-1, self.channels // 8, size * size)
        phi = F.max_pool2d(self.snconv1x1_phi(x), 2).reshape(-1, self.channels // 8, size * size // 4)
        g = F.max_pool2d(self.snconv1x1_g(x), 2).reshape(-1, self.channels // 2, size * size // 4)
        share = torch.softmax(theta.transpose(1, 2) @ phi, dim=-1)
        seen = (g @ share.transpose(1, 2)).reshape(-1, self.channels // 2, size, size)
        return x + self.gamma * self.snconv1x1_o_conv(seen)


class BigGan(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gen_z = torch.nn.Linear(256, 4 * 4 * 16 * CHANNELS)
        layers = []
        for index, (upsamples, inputs, outputs) in enumerate(BLOCKS):
            if index == ATTENTION_AT:
                layers.append(Attention(inputs * CHANNELS))
            layers.append(Block(upsamples, inputs * CHANNELS, outputs * CHANNELS))
        self.layers = torch.nn.ModuleList(layers)
        self.bn = FinalNorm(CHANNELS)
        self.conv_to_rgb = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.register_buffer("rows", torch.arange(ROWS, dtype=torch.float32), persistent=False)

    def keep_colours(self):
        """Three of the last layer's outputs are used: the others are left out of the graph."""
        last = torch.nn.Conv2d(CHANNELS, 3, 3, padding=1)
        last.weight.data, last.bias.data = self.conv_to_rgb.weight.data[:3].clone(), self.conv_to_rgb.bias.data[:3].clone()
        self.conv_to_rgb = last
        return self

    def forward(self, latent, truncation):
        # Linear interpolation between the rows of the tables; rounding keeps 0.7 x 50 on its row in single precision.
        place = torch.round(truncation * (ROWS - 1) * 1e4) / 1e4
        shares = torch.relu(1 - torch.abs(place - self.rows)).unsqueeze(0)
        shares = shares / shares.sum()
        x = self.gen_z(latent).reshape(-1, 4, 4, 16 * CHANNELS).permute(0, 3, 1, 2)
        for layer in self.layers:
            x = layer(x, latent, shares)
        x = F.relu(self.bn(x, shares[0]))
        return torch.tanh(self.conv_to_rgb(x))


def fold_spectral_norms(weights):
    """A weight under spectral normalisation is stored unnormalised with its singular vectors: weight / (u W v)."""
    folded = {}
    for name, values in weights.items():
        if name.endswith((".weight_u", ".weight_v")):
            continue
        if not name.endswith(".weight_orig"):
            folded[name] = values
            continue
        base = name[: -len("_orig")]
        u, v = weights.get(base + "_u"), weights.get(base + "_v")
        if u is None or v is None:
            raise Refused(f'Expected the singular vectors of "{base}" in the file, found none. The file is incomplete: get it again.')
        matrix = values.reshape(values.shape[0], -1).astype(np.float64)
        if u.shape != (matrix.shape[0],) or v.shape != (matrix.shape[1],):
            raise Refused(f'The singular vectors of "{base}" do not fit its shape {list(values.shape)}. The file is damaged: get it again.')
        strength = float(u.astype(np.float64) @ matrix @ v.astype(np.float64))
        if not np.isfinite(strength) or strength == 0:
            raise Refused(f'The largest singular value of "{base}" is {strength}. The file is damaged: get it again.')
        folded[base] = (values / strength).astype(np.float32)
    return folded


def start_code():
    """One fixed start: truncated normal noise (within 2, times the truncation), zero class embedding."""
    rng = np.random.default_rng(exporting.SEED)
    noise = rng.standard_normal(4096)
    noise = noise[np.abs(noise) <= 2][:128] * TRUNCATION
    return [*(float(np.float32(value)) for value in noise), *([0.0] * 128)]


def main():
    args = exporting.arguments(__doc__, [("weights", "biggan-deep-256-pytorch_model.bin")]).parse_args()
    state, _ = read_state_dict(args.weights, prefixes=("generator.", "module.generator."))
    net = exporting.fill(BigGan(), fold_spectral_norms(state), "BigGAN-deep-256").keep_colours()
    start = torch.tensor(start_code())
    g = torch.Generator().manual_seed(exporting.SEED)
    latents = torch.cat([start[None], torch.randn(1, 256, generator=g).clamp(-2, 2) * 0.5])
    path = os.path.join(args.out, "biggan-deep-256.onnx")
    figures, _ = exporting.export_checked(net, [latents, torch.tensor([TRUNCATION])], path, ["latent", "truncation"], ["image"], fixed_inputs=("truncation",))
    exporting.write(args.out, {
        "kind": "generator", "id": "biggan-deep-256", "title": "BigGAN-deep-256",
        "description": "Class-conditional generator (Brock et al. 2019): 128 noise numbers and 128 of a class embedding to an image of 256 x 256 px.",
        "file": "biggan-deep-256.onnx", "licence": "weights of TF Hub's biggan-deep-256 (Apache-2.0)", "source": args.source or "imported from a file",
        "madeBy": exporting.made_by("biggan_deep_256.py"), "measured": figures,
        "input": {"name": "latent", "dim": 256},
        "constants": [{"name": "truncation", "dims": [1], "value": [TRUNCATION], "meaning": "truncation, 0 to 1: which batch statistics are used; 0.7 in the published work"}],
        "output": {"name": "image", "width": 256, "height": 256, "range": [-1, 1]},
        "latent": {"initialStepSize": 0.2, "typicalNorm": 7.0, "start": start_code()},
    })


if __name__ == "__main__":
    exporting.run(main)
