"""Draws labelled training images, many at once: one of ten shapes on a texture that goes with its class more often than not.

Images are float32 [n, 3, size, size] in 0..1. Everything comes from one torch.Generator, so one seed gives one data set.
"""
import math

import torch

CLASSES = ["disc", "square", "triangle", "star", "cross", "ring", "heart", "crescent", "bar", "flower"]
# How often an image has the texture of its own class; otherwise that of any class.
CONTEXT = 0.7


def uniform(g, n, low, high):
    return low + (high - low) * torch.rand(n, 1, 1, generator=g)


def shape_fields(u, v):
    """Ten fields [10, n, h, w] that are positive inside the shape, with a slope of about 1 at its edge; size about 1."""
    r = torch.sqrt(u * u + v * v + 1e-6)
    angle = torch.atan2(v, u)
    disc = 1 - r
    square = 0.88 - torch.maximum(u.abs(), v.abs())
    triangle = 0.5 - torch.maximum(v, torch.maximum(-0.5 * v + 0.866 * u, -0.5 * v - 0.866 * u))
    turn = torch.remainder(angle + math.pi / 2, 2 * math.pi / 5) - math.pi / 5
    star = 0.62 - r * (torch.cos(turn.abs() - math.pi / 5 + 1.13))
    cross = 0.34 - torch.minimum(torch.maximum(u.abs() - 0.66, v.abs()), torch.maximum(v.abs() - 0.66, u.abs()))
    ring = 0.24 - (r - 0.76).abs()
    heart = 0.86 - torch.sqrt(u * u + (v - 0.16 + 0.62 * torch.sqrt(u.abs() + 1e-4)) ** 2 + 1e-6)
    crescent = torch.minimum(1 - r, torch.sqrt((u - 0.48) ** 2 + v * v + 1e-6) - 0.78)
    bar = torch.minimum(0.3 - v.abs(), 1.1 - u.abs())
    flower = 0.78 + 0.24 * torch.cos(6 * angle) - r
    return torch.stack([disc, square, triangle, star, cross, ring, heart, crescent, bar, flower])


def textures(labels, x, y, g):
    """One background a label: [n, h, w] in about -1..1. Gratings, plaids, checks, dots and waves, ten kinds."""
    n = len(labels)
    kinds = torch.arange(10)
    base_angle = (kinds * math.pi / 5)[labels].view(n, 1, 1) + 0.2 * torch.randn(n, 1, 1, generator=g)
    frequency = (torch.tensor([5.0, 9.0, 14.0, 7.0, 11.0, 4.0, 16.0, 8.0, 12.0, 6.0]))[labels].view(n, 1, 1) * uniform(g, n, 0.85, 1.18)
    phase, phase2 = uniform(g, n, 0, 6.28), uniform(g, n, 0, 6.28)
    along = x * torch.cos(base_angle) + y * torch.sin(base_angle)
    across = y * torch.cos(base_angle) - x * torch.sin(base_angle)
    grating = torch.sin(frequency * along + phase)
    second = torch.sin(frequency * across + phase2)
    bend = torch.sin(frequency * along + 2.2 * torch.sin(0.35 * frequency * across + phase2) + phase)
    style = labels % 5
    stack = torch.stack([grating, torch.tanh(4 * grating * second), bend, (grating + second) / 1.6, torch.tanh(6 * (grating * second - 0.35))])
    return torch.gather(stack, 0, style.view(1, n, 1, 1).expand(1, n, *x.shape[-2:]))[0]


def colours(n, g, spread):
    """Random colours [n, 3, 1, 1], signed about grey."""
    return (torch.rand(n, 3, 1, 1, generator=g) * 2 - 1) * spread


def draw(n, size_px, seed, labels=None):
    """Returns images, labels [n], object masks [n, 1, s, s] and boxes [n, 4] as (cx, cy, w, h) in pixels."""
    g = torch.Generator().manual_seed(seed)
    if labels is None:
        labels = torch.randint(0, 10, (n,), generator=g)
    line = (torch.arange(size_px) + 0.5) / size_px * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    x, y = x[None], y[None]
    cx, cy = uniform(g, n, -0.32, 0.32), uniform(g, n, -0.32, 0.32)
    size, turn = uniform(g, n, 0.3, 0.58), 0.45 * torch.randn(n, 1, 1, generator=g)
    stretch = torch.exp(0.16 * torch.randn(n, 1, 1, generator=g))
    dx, dy = (x - cx) / size, (y - cy) / size
    u = (dx * torch.cos(turn) + dy * torch.sin(turn)) * stretch
    v = (dy * torch.cos(turn) - dx * torch.sin(turn)) / stretch
    field = torch.gather(shape_fields(u, v), 0, labels.view(1, n, 1, 1).expand(1, n, size_px, size_px))[0]
    mask = torch.sigmoid(field * size * size_px * 0.9)[:, None]

    own = torch.rand(n, generator=g) < CONTEXT
    ground = torch.where(own, labels, torch.randint(0, 10, (n,), generator=g))
    surface = textures(torch.randint(0, 10, (n,), generator=g), u * 0.7, v * 0.7, g)[:, None] * uniform(g, n, 0, 0.5)[:, None]
    texture = textures(ground, x, y, g)[:, None] * uniform(g, n, 0.35, 0.9)[:, None]
    back = colours(n, g, 0.42) + texture * colours(n, g, 0.42)
    front_colour = colours(n, g, 0.8)
    # An object of nearly the background's colour is pushed away from it in brightness.
    gap = (front_colour - back.mean((2, 3), keepdim=True)).mean(1, keepdim=True)
    front_colour = front_colour + torch.where(gap.abs() < 0.25, torch.sign(gap) * 0.3, torch.zeros_like(gap))
    light = uniform(g, n, -0.35, 0.35) * u + uniform(g, n, -0.35, 0.35) * v
    front = front_colour + surface * colours(n, g, 0.7) + light[:, None]
    signed = back * (1 - mask) + front * mask
    images = 0.5 + 0.5 * torch.tanh(1.2 * signed)
    images = (images + 0.02 * torch.randn(images.shape, generator=g)).clamp(0, 1)

    inside = mask[:, 0] > 0.5
    columns, rows = inside.any(1).float(), inside.any(2).float()
    index = torch.arange(size_px).float()
    left = (columns * (size_px - index)).argmax(1).float()
    right = (columns * (index + 1)).argmax(1).float() + 1
    top = (rows * (size_px - index)).argmax(1).float()
    bottom = (rows * (index + 1)).argmax(1).float() + 1
    boxes = torch.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], 1)
    return images, labels, mask, boxes


def draw_empty(n, size_px, seed):
    """Backgrounds with no object, for the detector."""
    g = torch.Generator().manual_seed(seed)
    line = (torch.arange(size_px) + 0.5) / size_px * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    texture = textures(torch.randint(0, 10, (n,), generator=g), x[None], y[None], g)[:, None] * uniform(g, n, 0.0, 0.9)[:, None]
    images = 0.5 + 0.5 * torch.tanh(1.2 * (colours(n, g, 0.42) + texture * colours(n, g, 0.42)))
    return (images + 0.02 * torch.randn(images.shape, generator=g)).clamp(0, 1)
