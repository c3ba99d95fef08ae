#!/usr/bin/python3
"""Weight files in the published formats, with the published architectures at random weights, and what PyTorch computes with them.

The networks here are written apart from models/convert, as the publishers' code has them (spectral normalisation as a module,
training checkpoints with their wrappers and optimizer states), so that a slip in a converter shows as a difference.

    random_weights.py CASE FOLDER      writes the weight files and reference.json into FOLDER
"""
import argparse
import json
import math
import os
import pickle
import sys
import zipfile
from collections import OrderedDict

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision

SEED = 11
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def stir(net):
    """Batch statistics that are neither 0 nor 1, so that folding them wrongly shows."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, 0, 0.1)
    return net.eval()


def put(folder, name, values):
    values.tofile(os.path.join(folder, name))
    return {"file": name, "dims": list(values.shape), "type": str(values.dtype)}


def pictures(count, size_px):
    g = torch.Generator().manual_seed(SEED)
    coarse = torch.rand(count, 3, 12, 12, generator=g)
    images = F.interpolate(coarse, size=(size_px, size_px), mode="bicubic", align_corners=False).clamp(0, 1)
    return (images * 255).round().to(torch.uint8)


def interleaved(images):
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())


def reference(folder, **what):
    with open(os.path.join(folder, "reference.json"), "w", encoding="utf-8") as file:
        json.dump(what, file)


# ---------------------------------------------------------------------------------------------------------- DeePSiM

DEEPSIM = [
    ("deconv5", 256, 256, 4), ("conv5_1", 256, 512, 3), ("deconv4", 512, 256, 4), ("conv4_1", 256, 256, 3), ("deconv3", 256, 128, 4),
    ("conv3_1", 128, 128, 3), ("deconv2", 128, 64, 4), ("deconv1", 64, 32, 4), ("deconv0", 32, 3, 4),
]


def deepsim(biases):
    layers = OrderedDict()
    for name in ("defc7", "defc6", "defc5"):
        layers[name] = nn.Linear(4096, 4096)
        layers["relu_" + name] = nn.LeakyReLU(0.3)
    layers["reshape"] = nn.Unflatten(1, (256, 4, 4))
    for name, inputs, outputs, kernel in DEEPSIM:
        layers[name] = nn.ConvTranspose2d(inputs, outputs, kernel, 2 if kernel == 4 else 1, 1, bias=biases)
        if name != "deconv0":
            layers["relu_" + name] = nn.LeakyReLU(0.3)
    net = nn.Sequential(layers)
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.ConvTranspose2d)):
            fan = module.weight.shape[1] if isinstance(module, nn.Linear) else module.weight.shape[0] * module.weight.shape[2] ** 2 / module.stride[0] ** 2
            nn.init.normal_(module.weight, 0, math.sqrt(2 / (1.09 * fan)))
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.1)
    # Final images of ordinary contrast.
    net.deconv0.weight.data *= 12
    return net.eval()


def varint(value):
    out = bytearray()
    while True:
        out.append((value & 127) | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def blob(values, old):
    values = np.ascontiguousarray(values, "<f4")
    if old:
        dims = [1] * (4 - values.ndim) + list(values.shape)
        head = b"".join(varint(number << 3) + varint(dim) for number, dim in zip((1, 2, 3, 4), dims))
    else:
        head = field(7, field(1, b"".join(varint(dim) for dim in values.shape)))
    return head + field(5, values.tobytes())


def caffemodel(net, old):
    """NetParameter with the layers that have weights and, as in real files, some that have none."""
    out = [field(1, b"generator")]
    for name, module in net.named_children():
        blobs = [module.weight, module.bias] if isinstance(module, (nn.Linear, nn.ConvTranspose2d)) else []
        arrays = [blob(value.detach().numpy(), old) for value in blobs]
        if old:
            out.append(field(2, field(4, name.encode()) + b"".join(field(6, data) for data in arrays)))
        else:
            out.append(field(100, field(1, name.encode()) + field(2, b"Layer") + b"".join(field(7, data) for data in arrays)))
    return b"".join(out)


def make_deepsim(case, folder):
    form = case.split(":")[1]
    net = deepsim(biases=form != "copy")
    state = net.state_dict()
    if form == "caffemodel":
        file = "generator.caffemodel"
        with open(os.path.join(folder, file), "wb") as out:
            out.write(caffemodel(net, old=False))
    elif form == "release":
        file = "release_deepsim_v0.zip"
        with zipfile.ZipFile(os.path.join(folder, file), "w") as archive:
            archive.writestr("release_deepsim_v0/fc7/generator.caffemodel", b"another one")
            archive.writestr("release_deepsim_v0/fc6/generator.caffemodel", caffemodel(net, old=True))
    elif form == "pytorch":
        file = "upconvGAN_fc6.pt"
        torch.save(OrderedDict((name.replace("conv5_1.", "conv5_1.1.") if case.endswith("dots") else name, value) for name, value in state.items()), os.path.join(folder, file))
    else:
        renamed = {"deconv5": "deconv5_0", "conv5_1": "deconv5_1", "deconv4": "deconv4_0", "conv4_1": "deconv4_1", "deconv3": "deconv3_0", "conv3_1": "deconv3_1"}
        file = "deepsim-fc6.pt"
        torch.save({renamed.get(n.split(".")[0], n.split(".")[0]) + "." + n.split(".")[1]: v for n, v in state.items()}, os.path.join(folder, file), _use_new_zipfile_serialization=False)
    g = torch.Generator().manual_seed(SEED)
    latents = torch.randn(4, 4096, generator=g) * 3
    with torch.no_grad():
        raw = net(latents)
    pixels = (raw + torch.tensor([104.0, 117.0, 123.0])[:, None, None])[:, [2, 1, 0]].clamp(0, 255)
    reference(
        folder, id="deepsim-fc6", kind="generator", script="deepsim_fc6.py", files=[file],
        latents=put(folder, "latents.f32", latents.numpy()), pixels=put(folder, "pixels.f32", np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())),
    )


# ----------------------------------------------------------------------------------------------------------- BigGAN


def normalised(module):
    return nn.utils.spectral_norm(module, eps=1e-4)


class Norm(nn.Module):
    def __init__(self, channels, conditional=True):
        super().__init__()
        self.register_buffer("running_means", torch.randn(51, channels) * 0.1)
        self.register_buffer("running_vars", torch.rand(51, channels) + 0.5)
        if conditional:
            self.scale = normalised(nn.Linear(256, channels, bias=False))
            self.offset = normalised(nn.Linear(256, channels, bias=False))
        else:
            self.weight = nn.Parameter(torch.rand(channels) + 0.5)
            self.bias = nn.Parameter(torch.randn(channels) * 0.1)

    def forward(self, x, row, condition=None):
        mean, var = self.running_means[row], self.running_vars[row]
        if condition is None:
            return F.batch_norm(x, mean, var, self.weight, self.bias, False, 0.0, 1e-4)
        plain = F.batch_norm(x, mean, var, None, None, False, 0.0, 1e-4)
        return plain * (1 + self.scale(condition))[..., None, None] + self.offset(condition)[..., None, None]


class GanBlock(nn.Module):
    def __init__(self, inputs, outputs, up):
        super().__init__()
        m = inputs // 4
        self.up, self.half = up, inputs // 2 if inputs != outputs else None
        self.bn_0, self.conv_0 = Norm(inputs), normalised(nn.Conv2d(inputs, m, 1))
        self.bn_1, self.conv_1 = Norm(m), normalised(nn.Conv2d(m, m, 3, padding=1))
        self.bn_2, self.conv_2 = Norm(m), normalised(nn.Conv2d(m, m, 3, padding=1))
        self.bn_3, self.conv_3 = Norm(m), normalised(nn.Conv2d(m, outputs, 1))

    def forward(self, x, c, row):
        y = self.conv_0(self.bn_0(x, row, c).relu())
        y = self.bn_1(y, row, c).relu()
        y = F.interpolate(y, scale_factor=2) if self.up else y
        y = self.conv_1(y)
        y = self.conv_2(self.bn_2(y, row, c).relu())
        y = self.conv_3(self.bn_3(y, row, c).relu())
        x = x if self.half is None else x[:, : self.half]
        return y + (F.interpolate(x, scale_factor=2) if self.up else x)


class GanAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        conv = lambda a, b: normalised(nn.Conv2d(a, b, 1, bias=False))  # noqa: E731
        self.snconv1x1_theta, self.snconv1x1_phi = conv(channels, channels // 8), conv(channels, channels // 8)
        self.snconv1x1_g, self.snconv1x1_o_conv = conv(channels, channels // 2), conv(channels // 2, channels)
        self.gamma = nn.Parameter(torch.tensor([0.7]))

    def forward(self, x, _c, _row):
        theta = self.snconv1x1_theta(x).flatten(2)
        phi = F.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)
        g = F.max_pool2d(self.snconv1x1_g(x), 2).flatten(2)
        share = torch.einsum("nci,ncj->nij", theta, phi).softmax(-1)
        seen = torch.einsum("ncj,nij->nci", g, share).reshape(x.shape[0], -1, *x.shape[2:])
        return x + self.gamma * self.snconv1x1_o_conv(seen)


class GanGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        plan = [(16, 16, 0), (16, 16, 1), (16, 16, 0), (16, 8, 1), (8, 8, 0), (8, 8, 1), (8, 8, 0), (8, 4, 1), "attention", (4, 4, 0), (4, 2, 1), (2, 2, 0), (2, 1, 1)]
        self.gen_z = normalised(nn.Linear(256, 16 * 16 * 128))
        self.layers = nn.ModuleList([GanAttention(4 * 128) if one == "attention" else GanBlock(one[0] * 128, one[1] * 128, bool(one[2])) for one in plan])
        self.bn = Norm(128, conditional=False)
        self.conv_to_rgb = normalised(nn.Conv2d(128, 128, 3, padding=1))

    def forward(self, c, row):
        x = self.gen_z(c).view(-1, 4, 4, 2048).permute(0, 3, 1, 2)
        for layer in self.layers:
            x = layer(x, c, row)
        return self.conv_to_rgb(self.bn(x, row).relu())[:, :3].tanh()


def make_biggan(_case, folder):
    net = nn.Module()
    net.embeddings = nn.Linear(1000, 128, bias=False)
    net.generator = GanGenerator()
    g = torch.Generator().manual_seed(SEED)
    latents = torch.randn(3, 256, generator=g).clamp(-2, 2) * 0.7
    with torch.no_grad():
        # Singular vectors as training leaves them; PyTorch's own start is noise.
        for module in net.modules():
            if hasattr(module, "weight_orig"):
                matrix = module.weight_orig.flatten(1)
                for _ in range(4):
                    module.weight_v.copy_(F.normalize(matrix.t() @ module.weight_u, dim=0))
                    module.weight_u.copy_(F.normalize(matrix @ module.weight_v, dim=0))
        net.eval()
        image = net.generator(latents, 35)
    torch.save(net.state_dict(), os.path.join(folder, "pytorch_model.bin"), _use_new_zipfile_serialization=False)
    pixels = ((image + 1) / 2).clamp(0, 1) * 255
    reference(
        folder, id="biggan-deep-256", kind="generator", script="biggan_deep_256.py", files=["pytorch_model.bin"], parameters=sum(p.numel() for p in net.parameters()),
        latents=put(folder, "latents.f32", latents.numpy()), pixels=put(folder, "pixels.f32", np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())),
    )


# ------------------------------------------------------------------------------------------------------ Classifiers


def with_tanh(net):
    for name, child in list(net.named_children()):
        if isinstance(child, nn.ReLU):
            setattr(net, name, nn.Tanh())
        else:
            with_tanh(child)
    return net


class BlurPool(nn.Module):
    def __init__(self, conv):
        super().__init__()
        kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
        self.conv = conv
        self.register_buffer("blur_filter", kernel.repeat(conv.in_channels, 1, 1, 1))

    def forward(self, x):
        return self.conv(F.conv2d(x, self.blur_filter, stride=1, padding=(1, 1), groups=self.conv.in_channels))


def with_blur(net):
    for name, child in list(net.named_children()):
        if isinstance(child, nn.Conv2d) and max(child.stride) > 1 and child.in_channels >= 16:
            setattr(net, name, BlurPool(child))
        else:
            with_blur(child)
    return net


def last_two(net, x):
    """Penultimate layer and logits, by hooks on torchvision's own network."""
    caught = {}
    last = net.fc if hasattr(net, "fc") else net.classifier[6]
    handle = last.register_forward_hook(lambda _m, inputs, _o: caught.update(penultimate=inputs[0]))
    logits = net(x)
    handle.remove()
    return caught["penultimate"], logits


GRADIENT_UNIT = 217


def gradient_at(net, architecture, x):
    """One layer's activations and the gradient of one logit with respect to them, by autograd; the layer's name as the app has it."""
    module, name = {
        "alexnet": lambda: (net.features[4], "conv2"), "vgg16": lambda: (net.features[18], "conv4_1"), "resnet18": lambda: (net.layer2[0], "layer2.0"), "resnet50": lambda: (net.layer3[1], "layer3.1"),
    }[architecture]()
    caught = {}

    def keep(_module, _inputs, output):
        output = output.clone()
        output.retain_grad()
        caught["inner"] = output
        return output

    handle = module.register_forward_hook(keep)
    logits = net(x.clone().requires_grad_(True))
    handle.remove()
    logits[:, GRADIENT_UNIT].sum().backward()
    return caught["inner"].detach().flatten(1).numpy(), name, caught["inner"].grad.flatten(1).numpy()


def make_classifier(case, folder):
    network = case.split(":")[1]
    architecture = {"alexnet": "alexnet", "vgg16": "vgg16"}.get(network, "resnet18" if network.startswith("resnet18") else "resnet50")
    extra = {"init_weights": False} if architecture == "vgg16" else {}
    net = getattr(torchvision.models, architecture)(weights=None, **extra)
    if architecture in ("vgg16", "alexnet"):
        # The default initialisation shrinks a signal by 10,000 over 16 layers: nothing would be left to compare.
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(module.weight, 0, math.sqrt(2 / module.weight[0].numel()))
    if network == "resnet18-tanh":
        net = with_tanh(net)
    if network == "resnet18-relu":
        net = with_blur(net)
    stir(net)
    mean, std = MEAN, STD
    state = net.state_dict()
    file = network + ".pth"
    path = os.path.join(folder, file)
    if network.startswith("resnet50-linf"):
        mean, std = torch.tensor([0.4717, 0.4499, 0.3837])[:, None, None], torch.tensor([0.26, 0.2516, 0.2575])[:, None, None]
        wrapped = OrderedDict()
        wrapped["module.normalizer.new_mean"], wrapped["module.normalizer.new_std"] = mean, std
        for name, value in state.items():
            wrapped["module.model." + name] = value
        for name, value in list(state.items())[:20]:
            wrapped["module.attacker.model." + name] = value
        args = argparse.Namespace(eps=8 / 255, lr=0.1)
        torch.save({"model": wrapped, "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}, "epoch": 90, "args": args}, path)
    elif network == "resnet50-simsiam":
        torch.save({"epoch": 90, "arch": "resnet50", "state_dict": {"module." + name: value for name, value in state.items()}, "best_acc1": torch.tensor(68.1), "optimizer": {"param_groups": [{"lr": np.float64(0.1)}]}}, path)
    elif network.startswith("resnet18"):
        torch.save({"module." + name: value for name, value in state.items()}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=network != "resnet50-ssl")
    images = pictures(3, 256)
    # The published preprocessing of a 256 px image: its middle 224 px.
    x = (images[:, :, 16:240, 16:240].float() / 255 - mean) / std
    with torch.no_grad():
        penultimate, logits = last_two(net, x)
    inner, layer, pixels = gradient_at(net, architecture, x[:1])
    reference(
        folder, gradient={"layer": layer, "unit": GRADIENT_UNIT, "activations": put(folder, "inner.f32", inner), "values": put(folder, "gradient.f32", pixels)}, id=network, kind="encoder", script="imagenet_classifier.py", files=[file], first=[network], images=put(folder, "images.u8", interleaved(images)),
        layers={"penultimate": put(folder, "penultimate.f32", penultimate.numpy()), "logits": put(folder, "logits.f32", logits.numpy())},
    )


# ------------------------------------------------------------------------------------------------------------ LPIPS


def make_lpips(_case, folder):
    net = torchvision.models.alexnet(weights=None).eval()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0, math.sqrt(2 / module.weight[0].numel()))
    torch.save(net.state_dict(), os.path.join(folder, "alexnet.pth"))
    channels = [64, 192, 384, 256, 256]
    linear = OrderedDict((f"lin{i}.model.1.weight", torch.rand(1, c, 1, 1) * 0.4) for i, c in enumerate(channels))
    torch.save(linear, os.path.join(folder, "alex.pth"))
    images = pictures(4, 256)
    x = images.float() / 127.5 - 1
    x = (x - torch.tensor([-0.030, -0.088, -0.188])[:, None, None]) / torch.tensor([0.458, 0.448, 0.450])[:, None, None]
    slices = [net.features[:2], net.features[2:5], net.features[5:8], net.features[8:10], net.features[10:12]]
    table = torch.zeros(4, 4)
    with torch.no_grad():
        for index, part in enumerate(slices):
            x = part(x)
            unit = x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
            for a in range(4):
                for b in range(4):
                    table[a, b] += F.conv2d((unit[a] - unit[b]).pow(2)[None], linear[f"lin{index}.model.1.weight"]).mean()
    reference(folder, id="lpips-alex", kind="perceptual", script="lpips_alex.py", files=["alexnet.pth", "alex.pth"], images=put(folder, "images.u8", interleaved(images)), distances=put(folder, "distances.f32", table.numpy()))


# ----------------------------------------------------------------------------------------------------------- YOLOv7


def cbs(inputs, outputs, kernel=1, stride=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.SiLU())


class Ladder(nn.Module):
    """ELAN: two 1 x 1 branches, a chain of 3 x 3 from the second, all joined. `every`: all steps of the chain, or each second."""

    def __init__(self, inputs, hidden, outputs, step=None, every=False):
        super().__init__()
        step = step or hidden
        self.a, self.b, self.every = cbs(inputs, hidden), cbs(inputs, hidden), every
        self.chain = nn.ModuleList([cbs(hidden if i == 0 else step, step, 3) for i in range(4)])
        self.end = cbs(hidden * 2 + step * (4 if every else 2), outputs)

    def forward(self, x):
        a, b, steps = self.a(x), self.b(x), []
        y = b
        for conv in self.chain:
            y = conv(y)
            steps.append(y)
        kept = steps if self.every else steps[1::2]
        return self.end(torch.cat([*kept[::-1], b, a], 1))


class Down(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.pooled, self.first, self.second = cbs(inputs, hidden), cbs(inputs, hidden), cbs(hidden, hidden, 3, 2)

    def forward(self, x, *others):
        return torch.cat([self.second(self.first(x)), self.pooled(F.max_pool2d(x, 2, 2)), *others], 1)


class Pyramid(nn.Module):
    """SPPCSPC."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.before = nn.Sequential(cbs(inputs, outputs), cbs(outputs, outputs, 3), cbs(outputs, outputs))
        self.beside = cbs(inputs, outputs)
        self.after = nn.Sequential(cbs(4 * outputs, outputs), cbs(outputs, outputs, 3))
        self.end = cbs(2 * outputs, outputs)

    def forward(self, x):
        y = self.before(x)
        y = self.after(torch.cat([y, *(F.max_pool2d(y, k, 1, k // 2) for k in (5, 9, 13))], 1))
        return self.end(torch.cat([y, self.beside(x)], 1))


class Yolo(nn.Module):
    """YOLOv7 in its deployed form; `forward` gives [batch, 25200, 85] as the official export with --grid does."""

    anchors = [[12, 16, 19, 36, 40, 28], [36, 75, 76, 55, 72, 146], [142, 110, 192, 243, 459, 401]]

    def __init__(self, size_px):
        super().__init__()
        self.size_px = size_px
        self.stem = nn.Sequential(cbs(3, 32, 3), cbs(32, 64, 3, 2), cbs(64, 64, 3), cbs(64, 128, 3, 2), Ladder(128, 64, 256))
        self.down3, self.e3 = Down(256, 128), Ladder(256, 128, 512)
        self.down4, self.e4 = Down(512, 256), Ladder(512, 256, 1024)
        self.down5, self.e5 = Down(1024, 512), Ladder(1024, 256, 1024)
        self.pyramid = Pyramid(1024, 512)
        self.up4, self.route4, self.h4 = cbs(512, 256), cbs(1024, 256), Ladder(512, 256, 256, 128, every=True)
        self.up3, self.route3, self.h3 = cbs(256, 128), cbs(512, 128), Ladder(256, 128, 128, 64, every=True)
        self.back4, self.o4 = Down(128, 128), Ladder(512, 256, 256, 128, every=True)
        self.back5, self.o5 = Down(256, 256), Ladder(1024, 512, 512, 256, every=True)
        self.last = nn.ModuleList([nn.Sequential(nn.Conv2d(a, 2 * a, 3, padding=1), nn.SiLU()) for a in (128, 256, 512)])
        self.heads = nn.ModuleList([nn.Conv2d(a, 3 * 85, 1) for a in (256, 512, 1024)])

    def forward(self, x):
        p3 = self.e3(self.down3(self.stem(x)))
        p4 = self.e4(self.down4(p3))
        p5 = self.pyramid(self.e5(self.down5(p4)))
        h4 = self.h4(torch.cat([self.route4(p4), F.interpolate(self.up4(p5), scale_factor=2)], 1))
        h3 = self.h3(torch.cat([self.route3(p3), F.interpolate(self.up3(h4), scale_factor=2)], 1))
        o4 = self.o4(self.back4(h3, h4))
        o5 = self.o5(self.back5(o4, p5))
        rows = []
        for level, (feature, last, head) in enumerate(zip((h3, o4, o5), self.last, self.heads)):
            stride = 8 * 2**level
            n = self.size_px // stride
            y = head(last(feature)).view(x.shape[0], 3, 85, n, n).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
            ys, xs = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
            grid = torch.stack([xs, ys], 2).view(1, 1, n, n, 2).float()
            sizes = torch.tensor(self.anchors[level], dtype=torch.float32).view(1, 3, 1, 1, 2)
            xy, wh, rest = y.split((2, 2, 81), 4)
            y = torch.cat([xy * (2.0 * stride) + stride * (grid - 0.5), wh**2 * (4 * sizes), rest], 4)
            rows.append(y.view(x.shape[0], -1, 85))
        return torch.cat(rows, 1)


class Suppressed(torch.autograd.Function):
    @staticmethod
    def forward(_ctx, boxes, _scores, _limit, _overlap, _score):
        found = torch.arange(100)
        return torch.stack([torch.zeros_like(found), torch.zeros_like(found), found], 1)

    @staticmethod
    def symbolic(g, boxes, scores, limit, overlap, score):
        return g.op("NonMaxSuppression", boxes, scores, limit, overlap, score)


class EndToEnd(nn.Module):
    """The official export's end for ONNX Runtime: rows of (image, x0, y0, x1, y1, class, score)."""

    def __init__(self, net, overlap, score):
        super().__init__()
        self.net, self.limit, self.overlap, self.score = net, torch.tensor([100]), torch.tensor([overlap]), torch.tensor([score])
        self.corners = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]])

    def forward(self, x):
        x = self.net(x)
        boxes, sure, scores = x[:, :, :4], x[:, :, 4:5], x[:, :, 5:]
        scores = scores * sure
        boxes = boxes @ self.corners
        best, kind = scores.max(2, keepdim=True)
        apart = boxes + kind.float() * 640
        kept = Suppressed.apply(apart, best.transpose(1, 2).contiguous(), self.limit, self.overlap, self.score)
        image, row = kept[:, 0], kept[:, 2]
        return torch.cat([image.unsqueeze(1).float(), boxes[image, row], kind[image, row].float(), best[image, row]], 1)


def make_yolo(case, folder):
    form = case.split(":")[1]
    size_px = 640 if form == "raw" else 320
    net = Yolo(size_px)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0, math.sqrt(2.4 / module.weight[0].numel()))
    stir(net)
    for head in net.heads:
        nn.init.normal_(head.weight, 0, 1 / math.sqrt(head.weight[0].numel()))
        head.bias.data.view(3, 85)[:, 4] = -2.0
        head.bias.data.view(3, 85)[:, 5:] = -1.0
    images = pictures(2, size_px)
    x = images.float() / 255
    with torch.no_grad():
        rows = net(x)
    path = os.path.join(folder, "yolov7.onnx")
    options = {"opset_version": 12, "input_names": ["images"], "output_names": ["output"], "do_constant_folding": True}
    whole = net if form == "raw" else EndToEnd(net, 0.45, 0.25)
    torch.onnx.export(whole.eval(), x[:1], path, **options)
    reference(
        folder, id="yolov7", kind="detector", script="yolov7.py", files=["yolov7.onnx"], parameters=sum(p.numel() for p in net.parameters()), form=form,
        images=put(folder, "images.u8", interleaved(images)), rows=put(folder, "rows.f32", rows.numpy()),
    )


# --------------------------------------------------------------------------------------------------- Files to refuse


BAD = ["code", "code-legacy", "code-later", "script", "nan", "other", "shape", "truncated", "truncated-legacy", "text", "empty"]


def make_bad(_case, folder):
    """Files that must be refused, each wrong in one way, named after it."""
    state = torchvision.models.resnet18(weights=None).state_dict()
    for kind in BAD:
        make_one_bad(kind, OrderedDict(state), os.path.join(folder, kind + ".pth"), os.path.join(folder, "executed"))
    reference(folder, id="resnet18-relu", kind="bad", script="imagenet_classifier.py", first=["resnet18-relu"], files=[kind + ".pth" for kind in BAD])


def make_one_bad(kind, state, path, trace):
    if kind in ("code", "code-legacy"):
        class Hostile:
            def __reduce__(self):
                return os.system, (f"touch {trace}",)

        torch.save({"state_dict": {"conv1.weight": torch.zeros(3)}, "extra": Hostile()}, path, _use_new_zipfile_serialization=kind == "code")
    elif kind == "code-later":
        # Names that look harmless on the way to something that is not: getattr(os.path, "join").
        with open(path, "wb") as file:
            file.write(pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(1001) + pickle.dumps({}) + b"cbuiltins\ngetattr\n(cos\npath\nX\x04\x00\x00\x00jointR.")
    elif kind == "script":
        torch.jit.script(nn.Linear(2, 2)).save(path)
    elif kind in ("text", "empty"):
        with open(path, "w", encoding="utf-8") as file:
            file.write("<html><body>404 Not Found</body></html>" if kind == "text" else "")
    else:
        if kind == "nan":
            state["fc.weight"] = state["fc.weight"].clone()
            state["fc.weight"][7, 7] = float("nan")
        if kind == "other":
            state = torchvision.models.squeezenet1_1(weights=None).state_dict()
        if kind == "shape":
            state["fc.weight"], state["fc.bias"] = torch.zeros(10, 512), torch.zeros(10)
        torch.save(state, path, _use_new_zipfile_serialization=kind != "truncated-legacy")
        if kind.startswith("truncated"):
            os.truncate(path, os.path.getsize(path) // 2)


MAKERS = {"deepsim": make_deepsim, "biggan": make_biggan, "classifier": make_classifier, "lpips": make_lpips, "yolo": make_yolo, "bad": make_bad}


def main():
    case, folder = sys.argv[1:3]
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(SEED)
    torch.set_num_threads(2)
    MAKERS[case.split(":")[0]](case, folder)


if __name__ == "__main__":
    main()
