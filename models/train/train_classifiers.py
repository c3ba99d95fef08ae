#!/usr/bin/python3
"""Trains the built-in encoders on drawn images: `shapes-relu`, its twin `shapes-tanh`, `shapes-robust` (adversarial), and the same three
without batch normalisation (`plain-...`).

The plain networks have no batch normalisation and, but for tanh, start with biases of zero, as AlexNet and VGG16 do. That matters to
what an ablation shows: batch normalisation centres every feature on the mean of the training images, so that many features of
shapes-relu fire at an empty picture and are silenced by objects; without it a picture with nothing in it drives the features less.
The drives among the figures of a manifest say so.

One seed decides initial weights and attacks, the step decides the images; torch runs on one thread so that a run repeats on one machine.

Usage (Debian: apt-get install python3-torch python3-onnx):
    /usr/bin/python3 models/train/train_classifiers.py relu tanh robust
    /usr/bin/python3 models/train/train_classifiers.py plain-relu plain-tanh plain-robust --steps 1500 --seed 31
    /usr/bin/python3 models/train/train_classifiers.py plain-robust --epsilon 2 --steps 1500 --seed 31    writes models/plain-robust-2
"""
import argparse
import os
import sys
import time

import torch
import torch.nn.functional as F

from common import export_onnx, models_dir, write_manifest
from drawings import CLASSES, draw

SIZE_PX = 64
MEAN, STD = 0.5, 0.25
BATCH = 64
# Strength of adversarial training unless --epsilon says otherwise, and that of the attacks behind `accuracyUnderAttack`.
EPSILON = 4 / 255

KINDS = {
    "relu": ("Shapes ReLU", "Small ReLU classifier of ten drawn shapes on class-correlated textures."),
    "tanh": ("Shapes Tanh", "Twin of shapes-relu with tanh in place of ReLU: its features have both signs."),
    "robust": ("Shapes robust", "Twin of shapes-relu trained on adversarial images (L-infinity, {epsilon}/255)."),
    "plain-relu": ("Plain ReLU", "ReLU classifier of the drawn shapes without batch normalisation: an empty picture drives its features less."),
    "plain-robust": ("Plain robust", "Twin of plain-relu trained on adversarial images (L-infinity, {epsilon}/255)."),
    "plain-tanh": ("Plain Tanh", "Twin of plain-relu with tanh in place of ReLU: its features have both signs."),
}


class Classifier(torch.nn.Module):
    """image [n, 3, 64, 64], normalised -> conv1..conv4, penultimate, logits (all after their activation but the logits)."""

    layers = ["conv1", "conv2", "conv3", "conv4", "penultimate", "logits"]

    def __init__(self, activation, normalised):
        super().__init__()
        self.activation = activation
        self.normalised = normalised
        self.c1 = self.convolution(3, 16, 5, 2)
        self.c2 = self.convolution(16, 32, 3, 2)
        self.c3 = self.convolution(32, 48, 3, 2)
        self.c4 = self.convolution(48, 64, 3, 1)
        if normalised:
            self.f5 = torch.nn.Sequential(torch.nn.Linear(64 * 4 * 4, 128, bias=False), torch.nn.BatchNorm1d(128))
        else:
            self.f5 = torch.nn.Linear(64 * 4 * 4, 128)
        self.f6 = torch.nn.Linear(128, len(CLASSES))
        if not normalised:
            for layer in [self.c1, self.c2, self.c3, self.c4, self.f5]:
                if activation is torch.tanh:
                    torch.nn.init.xavier_normal_(layer.weight, 5 / 3)
                    # tanh is odd: without biases the network could not tell an edge from its negative, and objects come in both polarities.
                    torch.nn.init.normal_(layer.bias, 0, 0.5)
                else:
                    torch.nn.init.kaiming_normal_(layer.weight)
                    torch.nn.init.zeros_(layer.bias)

    def convolution(self, inputs, outputs, kernel, stride):
        """Batch normalisation, where there is one, is folded into the convolution by the export."""
        layer = torch.nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=not self.normalised)
        return torch.nn.Sequential(layer, torch.nn.BatchNorm2d(outputs)) if self.normalised else layer

    def forward(self, image):
        conv1 = self.activation(self.c1(image))
        conv2 = self.activation(self.c2(conv1))
        conv3 = self.activation(self.c3(conv2))
        conv4 = self.activation(self.c4(conv3))
        penultimate = self.activation(self.f5(F.avg_pool2d(conv4, 2).flatten(1)))
        return conv1, conv2, conv3, conv4, penultimate, self.f6(penultimate)


def normalise(images):
    return (images - MEAN) / STD


def attack(net, images, labels, steps, step_size, generator, epsilon=EPSILON):
    """Projected gradient ascent on the loss inside the L-infinity ball (Madry et al. 2018), random start."""
    delta = (torch.rand(images.shape, generator=generator) * 2 - 1) * epsilon
    for _ in range(steps):
        delta.requires_grad_(True)
        loss = F.cross_entropy(net(normalise((images + delta).clamp(0, 1)))[-1], labels)
        (gradient,) = torch.autograd.grad(loss, delta)
        delta = (delta.detach() + step_size * gradient.sign()).clamp(-epsilon, epsilon)
    return (images + delta).clamp(0, 1).detach()


def accuracy(net, count, seed, attacked=False):
    right = 0
    g = torch.Generator().manual_seed(seed)
    for first in range(0, count, 250):
        images, labels, _, _ = draw(250, SIZE_PX, seed + first)
        if attacked:
            images = attack(net, images, labels, 10, 1 / 255, g)
        with torch.no_grad():
            right += int((net(normalise(images))[-1].argmax(1) == labels).sum())
    return right / count


def drives(net, count, seed):
    """Sums of weight times feature over the positive and over the negative weights of a class, on images of the class, of others, and on
    plain grey to coloured fields: what an ablation takes away, and whether a picture of nothing is quiet. No evolution enters here."""
    images, labels, _, _ = draw(count, SIZE_PX, seed)
    fields = (0.2 + 0.6 * torch.rand(count, 3, 1, 1, generator=torch.Generator().manual_seed(seed))).expand(-1, -1, SIZE_PX, SIZE_PX)
    own = F.one_hot(labels, len(CLASSES)).bool()
    out = {}
    with torch.no_grad():
        features, blank = net(normalise(images))[-2], net(normalise(fields))[-2]
        for sign, weights in [("positive", net.f6.weight.clamp(min=0)), ("negative", (-net.f6.weight).clamp(min=0))]:
            drive = features @ weights.T
            out[sign] = {"own": drive[own].mean(), "other": drive[~own].mean(), "empty": (blank @ weights.T).mean()}
    return {f"{sign}Drive{name.capitalize()}": round(float(value), 2) for sign, found in out.items() for name, value in found.items()}


def train(kind, steps, seed, strength):
    torch.manual_seed(seed)
    is_plain = kind.startswith("plain-")
    net = Classifier(torch.tanh if kind.endswith("tanh") else F.relu, normalised=not is_plain).train()
    if kind == "tanh":
        # tanh is odd: without biases the network could not tell an edge from its negative, and objects come in both
        # polarities. Spread biases break the symmetry from the start.
        for module in net.modules():
            if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                torch.nn.init.normal_(module.bias, 0, 1)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2.5e-3, weight_decay=0.02)
    # Without normalisation, a smaller rate.
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3 if is_plain else 4e-3, total_steps=max(steps, 2))
    g = torch.Generator().manual_seed(seed + 1)
    started = time.time()
    for step in range(steps):
        images, labels, _, _ = draw(BATCH, SIZE_PX, 1_000_000 + step)
        # The first third is clean, then the ball grows to its full size: from the start on, attacks stop all learning.
        epsilon = strength * min(1.0, max(0.0, 3 * step / steps - 1))
        if kind.endswith("robust") and epsilon > 0:
            net.eval()
            images = attack(net, images, labels, 2, 0.75 * epsilon, g, epsilon)
            net.train()
        loss = F.cross_entropy(net(normalise(images))[-1], labels, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 200 == 0:
            print(f"{kind} {step}/{steps} loss {loss.item():.3f} {time.time() - started:.0f} s", file=sys.stderr)
    return net.eval()


def export(kind, net, steps, seed, epsilon, measured):
    is_usual = epsilon == round(EPSILON * 255)
    name = (kind if kind.startswith("plain-") else f"shapes-{kind}") + ("" if is_usual else f"-{epsilon}")
    folder = os.path.join(models_dir(), name)
    path = os.path.join(folder, f"{name}.onnx")
    example = torch.randn(2, 3, SIZE_PX, SIZE_PX)
    measured = {**measured, **export_onnx(net, example, path, inputs=["image"], outputs=Classifier.layers)}
    with torch.no_grad():
        shapes = [list(output.shape[1:]) for output in net(example)]
    title, description = KINDS[kind]
    if not is_usual:
        title += f" {epsilon}/255"
    write_manifest(
        folder,
        {
            "kind": "encoder",
            "id": name,
            "title": title,
            "description": description.format(epsilon=epsilon),
            "file": f"{name}.onnx",
            "licence": "MIT",
            "source": "trained by this repository on drawn images",
            "madeBy": f"/usr/bin/python3 models/train/train_classifiers.py {kind}{'' if is_usual else f' --epsilon {epsilon}'} --steps {steps} --seed {seed}",
            "measured": measured,
            "input": {"name": "image", "width": SIZE_PX, "height": SIZE_PX, "range": [0, 1], "mean": [MEAN] * 3, "std": [STD] * 3},
            "layers": [
                {"name": layer, "output": layer, "dim": int(torch.tensor(shape).prod()), "shape": shape}
                for layer, shape in zip(Classifier.layers, shapes)
            ],
            "penultimate": "penultimate",
            "logits": "logits",
            "classes": CLASSES,
        },
    )


def main():
    parser = argparse.ArgumentParser(description="Train the built-in encoders.")
    parser.add_argument("kinds", nargs="+", choices=list(KINDS))
    parser.add_argument("--steps", type=int, default=2000, help="optimiser steps of 64 images; 0 exports random weights")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epsilon", type=int, default=round(EPSILON * 255), help="strength of adversarial training in 1/255; another than the usual one goes into the model's name")
    arguments = parser.parse_args()
    if arguments.epsilon != parser.get_default("epsilon") and not all(kind.endswith("robust") for kind in arguments.kinds):
        parser.error("--epsilon is for the robust kinds alone")
    torch.set_num_threads(1)
    for kind in arguments.kinds:
        net = train(kind, arguments.steps, arguments.seed, arguments.epsilon / 255)
        measured = {"accuracy": round(accuracy(net, 2000, 50_000_000), 4), "trainingImages": arguments.steps * BATCH}
        measured["accuracyUnderAttack"] = round(accuracy(net, 500, 60_000_000, attacked=True), 4)
        if kind.startswith("plain-"):
            measured |= drives(net, 1000, 70_000_000)
        print(kind, measured, file=sys.stderr)
        export(kind, net, arguments.steps, arguments.seed, arguments.epsilon, measured)


if __name__ == "__main__":
    main()
