#!/usr/bin/python3
"""ImageNet classifiers of the paper: AlexNet, VGG16, ResNet50, robust ResNet50, SimSiam + linear, ResNet18 with ReLU or tanh, ResNet50-SSL.

Takes the official PyTorch file of each. Every block, the penultimate layer and the logits become named layers.

    /usr/bin/python3 models/convert/imagenet_classifier.py alexnet alexnet-owt-7be5be79.pth --out ~/Evoked/models/alexnet
    /usr/bin/python3 models/convert/imagenet_classifier.py resnet50-linf-8 resnet50_linf_eps8.0.ckpt --out ~/Evoked/models/resnet50-linf-8
"""
import os

import numpy as np
import torch
import torchvision

import exporting
from weights import Refused, read_state_dict

SIZE_PX = 224
TORCHVISION = "BSD-3-Clause (torchvision); trained on ImageNet, whose terms allow research only"
# id: architecture, title, description, licence
NETWORKS = {
    "alexnet": ("alexnet", "AlexNet", "AlexNet (Krizhevsky 2014, torchvision).", TORCHVISION),
    "vgg16": ("vgg16", "VGG16", "VGG16 (Simonyan & Zisserman 2015, torchvision).", TORCHVISION),
    "resnet50": ("resnet50", "ResNet50", "ResNet50 (He et al. 2015, torchvision).", TORCHVISION),
    **{
        f"resnet50-linf-{epsilon}": ("resnet50", f"ResNet50 robust {epsilon}/255", f"ResNet50 trained on adversarial images, L-infinity {epsilon}/255 (Salman et al. 2020).", "MIT (robust-models-transfer)")
        for epsilon in ("0.5", "1", "2", "4", "8")
    },
    "resnet50-simsiam": ("resnet50", "ResNet50 SimSiam + linear", "ResNet50 trained without labels (SimSiam, Chen & He 2020) with a linear classifier on top.", "CC-BY-NC-4.0"),
    "resnet18-relu": ("resnet18", "ResNet18 ReLU", "ResNet18 with ReLU, twin of resnet18-tanh.", "as given by the source of the file"),
    "resnet18-tanh": ("resnet18", "ResNet18 Tanh", "ResNet18 with tanh in place of every ReLU.", "as given by the source of the file"),
    "resnet50-ssl": ("resnet50", "ResNet50-SSL", "ResNet50 semi-supervised on a billion images (Yalniz et al. 2019); for the coverage of image sets.", "CC-BY-NC-4.0"),
}


class BlurredConvolution(torch.nn.Module):
    """A strided convolution behind a fixed 3 x 3 blur, as FFCV's training puts into ResNets."""

    def __init__(self, convolution):
        super().__init__()
        self.conv = convolution
        self.register_buffer("blur_filter", torch.zeros(convolution.in_channels, 1, 3, 3))

    def forward(self, x):
        return self.conv(torch.nn.functional.conv2d(x, self.blur_filter, padding=1, groups=self.conv.in_channels))


def replace(net, kind, make):
    for name, child in net.named_children():
        if isinstance(child, kind):
            setattr(net, name, make(child))
        else:
            replace(child, kind, make)


def build(network, weights):
    """The torchvision network of an id, changed as the file needs."""
    architecture = NETWORKS[network][0]
    net = getattr(torchvision.models, architecture)(weights=None, init_weights=False) if architecture == "vgg16" else getattr(torchvision.models, architecture)(weights=None)
    if network == "resnet18-tanh":
        replace(net, torch.nn.ReLU, lambda _: torch.nn.Tanh())
    blurred = {name[: -len(".blur_filter")] for name in weights if name.endswith(".blur_filter")}
    for name in blurred:
        parent, _, leaf = name.rpartition(".")
        holder = net.get_submodule(parent)
        child = getattr(holder, leaf, None)
        if not isinstance(child, torch.nn.Conv2d):
            raise Refused(f'The file blurs "{name}", which is no convolution of {architecture}. It is of another architecture.')
        setattr(holder, leaf, BlurredConvolution(child))
    return net


class Layers(torch.nn.Module):
    """The network with every named layer as an output, in order from the input."""

    def __init__(self, net, architecture):
        super().__init__()
        self.net = net
        if architecture == "alexnet":
            # After the ReLU of each convolution; then fc6, fc7.
            self.features = {1: "conv1", 4: "conv2", 7: "conv3", 9: "conv4", 11: "conv5"}
            self.dense = {2: "fc6", 5: "penultimate"}
        elif architecture == "vgg16":
            names = ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3"]
            relus = [index for index, layer in enumerate(net.features) if isinstance(layer, torch.nn.ReLU)]
            self.features = dict(zip(relus, names))
            self.dense = {1: "fc6", 4: "penultimate"}
        self.plain = architecture in ("alexnet", "vgg16")
        self.names = self.list_names()

    def list_names(self):
        if self.plain:
            return [*self.features.values(), *self.dense.values(), "logits"]
        blocks = [f"layer{stage}.{index}" for stage in (1, 2, 3, 4) for index in range(len(getattr(self.net, f"layer{stage}")))]
        return ["conv1", *blocks, "penultimate", "logits"]

    def forward(self, image):
        net, found = self.net, []
        if self.plain:
            x = image
            for index, layer in enumerate(net.features):
                x = layer(x)
                if index in self.features:
                    found.append(x)
            x = torch.flatten(net.avgpool(x), 1)
            for index, layer in enumerate(net.classifier):
                x = layer(x)
                if index in self.dense:
                    found.append(x)
            return (*found, x)
        x = net.relu(net.bn1(net.conv1(image)))
        found.append(x)
        x = net.maxpool(x)
        for stage in (1, 2, 3, 4):
            for block in getattr(net, f"layer{stage}"):
                x = block(x)
                found.append(x)
        x = torch.flatten(net.avgpool(x), 1)
        return (*found, x, net.fc(x))


def not_in_place(net):
    for module in net.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False


def categories():
    return list(torchvision.models.AlexNet_Weights.IMAGENET1K_V1.meta["categories"])


def main():
    parser = exporting.arguments(__doc__, [])
    parser.add_argument("network", choices=list(NETWORKS))
    parser.add_argument("weights", help="the official PyTorch file")
    parser.add_argument("--keep", type=float, default=SIZE_PX / 256, help="share of the image's width that the network sees, from the middle; 0.875 is its own preprocessing, 1 the whole image")
    args = parser.parse_args()
    architecture, title, description, licence = NETWORKS[args.network]
    state, others = read_state_dict(args.weights)
    mean, std = exporting.MEAN, exporting.STD
    for name, values in others.items():
        # Robust checkpoints carry the normalisation that they were trained with.
        if name.endswith("normalizer.new_mean") and values.size == 3:
            mean = [round(float(v), 6) for v in values.reshape(-1)]
        if name.endswith("normalizer.new_std") and values.size == 3:
            std = [round(float(v), 6) for v in values.reshape(-1)]
    net = exporting.fill(build(args.network, state), state, title)
    not_in_place(net)
    layers = Layers(net, architecture).eval()
    images = exporting.seeded_images(SIZE_PX, mean, std)
    path = os.path.join(args.out, f"{args.network}.onnx")
    figures, shapes = exporting.export_checked(layers, [images[:2]], path, ["image"], layers.names, compare_inputs=[images])
    exporting.write(args.out, {
        "kind": "encoder", "id": args.network, "title": title, "description": description, "file": f"{args.network}.onnx", "licence": licence,
        "source": args.source or "imported from a file", "madeBy": exporting.made_by("imagenet_classifier.py"), "measured": figures,
        "input": {"name": "image", "width": SIZE_PX, "height": SIZE_PX, "range": [0, 1], "mean": mean, "std": std, "keep": args.keep},
        "layers": [{"name": name, "output": name, "dim": int(np.prod(shape)), "shape": shape} for name, shape in zip(layers.names, shapes)],
        "penultimate": "penultimate", "logits": "logits", "classes": categories(),
    })


if __name__ == "__main__":
    exporting.run(main)
