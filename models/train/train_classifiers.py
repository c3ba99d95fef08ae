#!/usr/bin/python3
"""Trains the built-in encoders on drawn images: `shapes-relu`, its twin `shapes-tanh`, and `shapes-robust` (adversarial).

One seed decides images, initial weights and order; torch runs on one thread so that a run repeats on one machine.

Usage (Debian: apt-get install python3-torch python3-onnx):
    /usr/bin/python3 models/train/train_classifiers.py relu tanh robust
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
EPSILON = 4 / 255

KINDS = {
    "relu": ("Shapes ReLU", "Small ReLU classifier of ten drawn shapes on class-correlated textures."),
    "tanh": ("Shapes Tanh", "Twin of shapes-relu with tanh in place of ReLU: its features have both signs."),
    "robust": ("Shapes robust", "Twin of shapes-relu trained on adversarial images (L-infinity, 4/255)."),
}


class Classifier(torch.nn.Module):
    """image [n, 3, 64, 64], normalised -> conv1..conv4, penultimate, logits (all after their activation but the logits)."""

    layers = ["conv1", "conv2", "conv3", "conv4", "penultimate", "logits"]

    def __init__(self, activation):
        super().__init__()
        self.activation = activation
        self.c1 = self.convolution(3, 16, 5, 2)
        self.c2 = self.convolution(16, 32, 3, 2)
        self.c3 = self.convolution(32, 48, 3, 2)
        self.c4 = self.convolution(48, 64, 3, 1)
        self.f5 = torch.nn.Sequential(torch.nn.Linear(64 * 4 * 4, 128, bias=False), torch.nn.BatchNorm1d(128))
        self.f6 = torch.nn.Linear(128, len(CLASSES))

    @staticmethod
    def convolution(inputs, outputs, kernel, stride):
        """The normalisation only helps training: the export folds it into the convolution."""
        layer = torch.nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        return torch.nn.Sequential(layer, torch.nn.BatchNorm2d(outputs))

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


def train(kind, steps, seed):
    torch.manual_seed(seed)
    net = Classifier(torch.tanh if kind == "tanh" else F.relu).train()
    if kind == "tanh":
        # tanh is odd: without biases the network could not tell an edge from its negative, and objects come in both
        # polarities. Spread biases break the symmetry from the start.
        for module in net.modules():
            if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                torch.nn.init.normal_(module.bias, 0, 1)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2.5e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=max(steps, 2))
    g = torch.Generator().manual_seed(seed + 1)
    started = time.time()
    for step in range(steps):
        images, labels, _, _ = draw(BATCH, SIZE_PX, 1_000_000 + step)
        # The first third is clean, then the ball grows to its full size: from the start on, attacks stop all learning.
        epsilon = EPSILON * min(1.0, max(0.0, 3 * step / steps - 1))
        if kind == "robust" and epsilon > 0:
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


def export(kind, net, steps, seed, measured):
    name = f"shapes-{kind}"
    folder = os.path.join(models_dir(), name)
    path = os.path.join(folder, f"{name}.onnx")
    example = torch.randn(2, 3, SIZE_PX, SIZE_PX)
    measured = {**measured, **export_onnx(net, example, path, inputs=["image"], outputs=Classifier.layers)}
    with torch.no_grad():
        shapes = [list(output.shape[1:]) for output in net(example)]
    title, description = KINDS[kind]
    write_manifest(
        folder,
        {
            "kind": "encoder",
            "id": name,
            "title": title,
            "description": description,
            "file": f"{name}.onnx",
            "licence": "MIT",
            "source": "trained by this repository on drawn images",
            "madeBy": f"/usr/bin/python3 models/train/train_classifiers.py {kind} --steps {steps} --seed {seed}",
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
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for kind in arguments.kinds:
        net = train(kind, arguments.steps, arguments.seed)
        measured = {"accuracy": round(accuracy(net, 2000, 50_000_000), 4), "trainingImages": arguments.steps * BATCH}
        measured["accuracyUnderAttack"] = round(accuracy(net, 500, 60_000_000, attacked=True), 4)
        print(kind, measured, file=sys.stderr)
        export(kind, net, arguments.steps, arguments.seed, measured)


if __name__ == "__main__":
    main()
