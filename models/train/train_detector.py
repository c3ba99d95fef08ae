#!/usr/bin/python3
"""Trains the built-in detector `shapes-detector`: where is an object, and how sure is it that there is one?

Images: drawings with their boxes, drawn backgrounds, pictures of shapes-g1 with boxes from their masks, and the same
pictures without their object. One seed decides everything.

Usage (Debian: apt-get install python3-torch python3-onnx):
    /usr/bin/python3 models/train/train_detector.py
"""
import argparse
import os
import sys
import time

import torch
import torch.nn.functional as F

from common import export_onnx, models_dir, write_manifest
from draw_generator import LATENT_DIM, ShapesGenerator
from drawings import draw, draw_empty

SIZE_PX = 96
STRIDE_PX = 8
GRID = SIZE_PX // STRIDE_PX
MEAN, STD = 0.5, 0.25
# An object that changes the image by less than this (mean absolute difference inside its mask) counts as none.
VISIBLE = 0.07


class Detector(torch.nn.Module):
    """image [n, 3, 96, 96], normalised -> boxes [n, 144, 5]: cx, cy, w, h in pixels and a score of 0 to 1."""

    def __init__(self):
        super().__init__()
        widths = [(3, 16, 2, 1), (16, 32, 2, 1), (32, 64, 2, 1), (64, 64, 1, 2), (64, 64, 1, 3)]
        self.body = torch.nn.Sequential(*[
            torch.nn.Sequential(torch.nn.Conv2d(a, b, 3, stride=s, padding=d, dilation=d, bias=False), torch.nn.BatchNorm2d(b), torch.nn.ReLU())
            for a, b, s, d in widths
        ])
        self.context = torch.nn.Linear(64, 64)
        self.head = torch.nn.Conv2d(64, 5, 1)
        torch.nn.init.constant_(self.head.bias, 0.0)
        with torch.no_grad():
            self.head.bias[4] = -4.0
        line = (torch.arange(GRID) + 0.5) * STRIDE_PX
        self.register_buffer("cell_y", line.view(1, GRID, 1).expand(1, GRID, GRID).reshape(1, -1))
        self.register_buffer("cell_x", line.view(1, 1, GRID).expand(1, GRID, GRID).reshape(1, -1))

    def raw(self, image):
        """Per cell: offsets of the centre in cells, log sizes in units of 32 px, logit of the score; [n, 144, 5]."""
        fields = self.body(image)
        fields = F.relu(fields + self.context(fields.mean((2, 3)))[:, :, None, None])
        return self.head(fields).flatten(2).transpose(1, 2)

    def boxes(self, raw):
        x = self.cell_x + raw[:, :, 0] * STRIDE_PX
        y = self.cell_y + raw[:, :, 1] * STRIDE_PX
        w, h = 32 * torch.exp(raw[:, :, 2].clamp(-3, 2)), 32 * torch.exp(raw[:, :, 3].clamp(-3, 2))
        return torch.stack([x, y, w, h], 2)

    def forward(self, image):
        raw = self.raw(image)
        return torch.cat([self.boxes(raw), torch.sigmoid(raw[:, :, 4:])], 2)


def boxes_of(mask):
    """[n, 1, s, s] -> (cx, cy, w, h) of where the mask is over a half, and whether there is any."""
    inside = mask[:, 0] > 0.5
    index = torch.arange(SIZE_PX).float()
    columns, rows = inside.any(1).float(), inside.any(2).float()
    left, right = (columns * (SIZE_PX - index)).argmax(1), (columns * (index + 1)).argmax(1) + 1
    top, bottom = (rows * (SIZE_PX - index)).argmax(1), (rows * (index + 1)).argmax(1) + 1
    return torch.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], 1).float(), inside.flatten(1).any(1)


def make_batch(generator, seed, quarter):
    """Four kinds of images, `quarter` of each: images, boxes, whether there is an object."""
    g = torch.Generator().manual_seed(seed)
    drawn, _, _, drawn_boxes = draw(quarter, SIZE_PX, seed)
    empty = draw_empty(quarter // 2, SIZE_PX, seed + 1)
    norms = 0.15 + 1.1 * torch.rand(quarter, 1, generator=g)
    with torch.no_grad():
        images, masks, grounds = generator(torch.randn(quarter, LATENT_DIM, generator=g) * norms)
    boxes, some = boxes_of(masks)
    change = ((images - grounds).abs().mean(1, keepdim=True) * masks).sum((1, 2, 3)) / masks.sum((1, 2, 3)).clamp(min=1)
    seen = some & (change > VISIBLE)
    noise = 0.015 * torch.randn(images.shape, generator=g)
    return (
        torch.cat([drawn, empty, (images + noise).clamp(0, 1), (grounds + noise).clamp(0, 1)]),
        torch.cat([drawn_boxes, torch.zeros(len(empty), 4), boxes, torch.zeros_like(boxes)]),
        torch.cat([torch.ones(quarter, dtype=torch.bool), torch.zeros(len(empty), dtype=torch.bool), seen, torch.zeros(quarter, dtype=torch.bool)]),
    )


def overlap(a, b):
    """Intersection over union of boxes [..., 4]."""
    def side(i):
        low = torch.maximum(a[..., i] - a[..., i + 2] / 2, b[..., i] - b[..., i + 2] / 2)
        high = torch.minimum(a[..., i] + a[..., i + 2] / 2, b[..., i] + b[..., i + 2] / 2)
        return (high - low).clamp(min=0)

    shared = side(0) * side(1)
    return shared / (a[..., 2] * a[..., 3] + b[..., 2] * b[..., 3] - shared + 1e-6)


def loss_of(net, images, boxes, seen):
    raw = net.raw((images - MEAN) / STD)
    dx, dy = (net.cell_x - boxes[:, :1]) / STRIDE_PX, (net.cell_y - boxes[:, 1:2]) / STRIDE_PX
    distance = dx * dx + dy * dy
    heat = torch.exp(-distance / 1.6) * seen[:, None]
    # Penalty-reduced focal loss (Law & Deng 2018, eq. 1).
    p = torch.sigmoid(raw[:, :, 4]).clamp(1e-5, 1 - 1e-5)
    positive = ((distance <= distance.min(1, keepdim=True).values) & seen[:, None]).float()
    focal = -(positive * (1 - p) ** 2 * torch.log(p) + (1 - positive) * (1 - heat) ** 4 * p**2 * torch.log(1 - p))
    near = ((distance < 2.3) & seen[:, None]).float()
    found = net.boxes(raw)
    target = boxes[:, None, :].expand_as(found)
    place = F.smooth_l1_loss(found / 16, target / 16, reduction="none").sum(2) + (1 - overlap(found, target))
    return focal.sum() / max(1, int(seen.sum())) + (place * near).sum() / near.sum().clamp(min=1)


def evaluate(net, generator, seed):
    scores, truth, overlaps = [], [], []
    for k in range(8):
        images, boxes, seen = make_batch(generator, seed + k, 40)
        with torch.no_grad():
            rows = net((images - MEAN) / STD)
        best = rows[:, :, 4].argmax(1)
        top = rows[torch.arange(len(rows)), best]
        scores.append(top[:, 4])
        truth.append(seen)
        overlaps.append(overlap(top[:, :4], boxes)[seen])
    scores, truth, overlaps = torch.cat(scores), torch.cat(truth), torch.cat(overlaps)
    order = scores[truth][:, None] > scores[~truth][None, :]
    return {
        "areaUnderRoc": round(float(order.float().mean()), 4),
        "recallAtHalf": round(float((scores[truth] > 0.5).float().mean()), 4),
        "falseAlarmsAtHalf": round(float((scores[~truth] > 0.5).float().mean()), 4),
        "topBoxOverlapHalf": round(float((overlaps > 0.5).float().mean()), 4),
    }


def main():
    parser = argparse.ArgumentParser(description="Train the built-in detector.")
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    net, generator = Detector().train(), ShapesGenerator(SIZE_PX).eval()
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=arguments.steps)
    started = time.time()
    for step in range(arguments.steps):
        loss = loss_of(net, *make_batch(generator, 3_000_000 + 10 * step, 14))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 200 == 0:
            print(f"detector {step}/{arguments.steps} loss {loss.item():.3f} {time.time() - started:.0f} s", file=sys.stderr)
    net.eval()
    measured = evaluate(net, generator, 70_000_000)
    print(measured, file=sys.stderr)
    folder = os.path.join(models_dir(), "shapes-detector")
    measured = {**measured, **export_onnx(net, torch.randn(2, 3, SIZE_PX, SIZE_PX), os.path.join(folder, "shapes-detector.onnx"), ["image"], ["boxes"])}
    write_manifest(
        folder,
        {
            "kind": "detector",
            "id": "shapes-detector",
            "title": "Shapes detector",
            "description": "Objectness on drawn images: boxes and a score for whether there is an object at all.",
            "file": "shapes-detector.onnx",
            "licence": "MIT",
            "source": "trained by this repository on drawn images",
            "madeBy": f"/usr/bin/python3 models/train/train_detector.py --steps {arguments.steps} --seed {arguments.seed}",
            "measured": measured,
            "input": {"name": "image", "width": SIZE_PX, "height": SIZE_PX, "range": [0, 1], "mean": [MEAN] * 3, "std": [STD] * 3},
            "output": {"name": "boxes", "boxes": GRID * GRID},
        },
    )


if __name__ == "__main__":
    main()
