"""Draws the default reference images: scenes and single objects in a painted style, none of them from the generator."""
import math
import os

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE_PX = 128
SCALE = 4
S = SIZE_PX * SCALE


def noise(rng, size_px, octaves=5, persistence=0.55, first=3):
    """Fractal noise in 0..1, [size, size]."""
    total, amplitude, norm = np.zeros((size_px, size_px)), 1.0, 0.0
    for octave in range(octaves):
        cells = first * 2**octave
        small = Image.fromarray((rng.random((cells + 1, cells + 1)) * 255).astype(np.uint8))
        total += amplitude * np.asarray(small.resize((size_px, size_px), Image.BICUBIC), float) / 255
        norm += amplitude
        amplitude *= persistence
    total /= norm
    return (total - total.min()) / (total.max() - total.min())


def ramp(top, bottom, rng=None, grain=0.0):
    """A vertical slope between two colours, with cloudy grain."""
    t = np.linspace(0, 1, S)[:, None, None]
    picture = (1 - t) * np.array(top, float) + t * np.array(bottom, float)
    picture = np.broadcast_to(picture, (S, S, 3)).copy()
    if rng is not None:
        picture *= 1 + grain * (noise(rng, S)[:, :, None] - 0.5)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def px(*values):
    return [v * S for v in values]


class Painter:
    """Shapes in units of the picture (0..1), each filled with a colour slope and grain so that nothing is flat."""

    def __init__(self, picture, rng):
        self.picture, self.rng = picture, rng

    def paint(self, mask, colour, light=0.35, grain=0.3, angle=2.2):
        """Fills a mask with a shaded colour: lighter towards `angle`."""
        array = np.asarray(mask, float)[:, :, None] / 255
        box = mask.getbbox()
        if box is None:
            return
        y, x = np.mgrid[0:S, 0:S]
        width, height = max(1, box[2] - box[0]), max(1, box[3] - box[1])
        u, v = (x - box[0]) / width - 0.5, (y - box[1]) / height - 0.5
        slope = u * math.cos(angle) + v * -math.sin(angle)
        fill = np.array(colour, float) * (1 + light * slope + grain * (noise(self.rng, S, 4, 0.6, 8) - 0.5))[:, :, None]
        base = np.asarray(self.picture, float)
        self.picture = Image.fromarray(np.clip(base * (1 - array) + fill * array, 0, 255).astype(np.uint8))

    def shape(self, draw, colour, blur=0.0, **how):
        mask = Image.new("L", (S, S), 0)
        draw(ImageDraw.Draw(mask))
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur * S))
        self.paint(mask, colour, **how)

    def ellipse(self, x, y, rx, ry, colour, **how):
        self.shape(lambda d: d.ellipse(px(x - rx, y - ry, x + rx, y + ry), fill=255), colour, **how)

    def polygon(self, points, colour, **how):
        self.shape(lambda d: d.polygon([(a * S, b * S) for a, b in points], fill=255), colour, **how)

    def box(self, x0, y0, x1, y1, colour, **how):
        self.shape(lambda d: d.rectangle(px(x0, y0, x1, y1), fill=255), colour, **how)

    def line(self, points, width, colour, **how):
        self.shape(lambda d: d.line([(a * S, b * S) for a, b in points], fill=255, width=int(width * S), joint="curve"), colour, **how)

    def shadow(self, x, y, rx, ry, strength=0.5):
        mask = Image.new("L", (S, S), 0)
        ImageDraw.Draw(mask).ellipse(px(x - rx, y - ry, x + rx, y + ry), fill=int(255 * strength))
        array = np.asarray(mask.filter(ImageFilter.GaussianBlur(0.03 * S)), float)[:, :, None] / 255
        self.picture = Image.fromarray((np.asarray(self.picture, float) * (1 - array)).astype(np.uint8))


def hills(p, base, height, colour, steps=5):
    phase = p.rng.random(steps) * 6.28
    line = [(t, base - height * sum(math.sin(t * (k + 1) * 4 + phase[k]) / (k + 1) for k in range(steps))) for t in np.linspace(0, 1, 80)]
    p.polygon([(0, 1), *line, (1, 1)], colour)


def curve(f, n=60):
    return [f(t) for t in np.linspace(0, 2 * math.pi, n, endpoint=False)]


def room(p, wall, floor, level=0.68):
    p.picture = ramp(wall, [0.8 * c for c in wall], p.rng, 0.15)
    p.box(0, level, 1, 1, floor, grain=0.5)


def sunset(p):
    p.picture = ramp((40, 40, 110), (255, 150, 60), p.rng, 0.25)
    p.ellipse(0.66, 0.55, 0.11, 0.11, (255, 225, 130), blur=0.006, grain=0.05)
    hills(p, 0.66, 0.05, (95, 60, 95))
    hills(p, 0.8, 0.04, (50, 35, 60))


def mountains(p):
    p.picture = ramp((110, 170, 230), (215, 230, 240), p.rng, 0.2)
    for x, y, w, c in ((0.3, 0.25, 0.4, 120), (0.75, 0.35, 0.35, 100)):
        p.polygon([(x - w, 0.85), (x, y), (x + w, 0.85)], (c, c + 5, c + 20), grain=0.8)
        p.polygon([(x - w * 0.22, y + 0.13), (x, y), (x + w * 0.22, y + 0.13), (x + 0.04, y + 0.1), (x - 0.03, y + 0.16)], (240, 245, 250))
    hills(p, 0.84, 0.02, (60, 105, 55))


def sea(p):
    p.picture = ramp((150, 200, 235), (225, 235, 240), p.rng, 0.3)
    p.box(0, 0.52, 1, 1, (30, 95, 140), angle=-1.6, grain=0.7)
    p.polygon([(0.28, 0.56), (0.72, 0.56), (0.64, 0.66), (0.35, 0.66)], (130, 60, 40))
    p.polygon([(0.49, 0.16), (0.49, 0.53), (0.24, 0.53)], (245, 240, 225))
    p.polygon([(0.52, 0.22), (0.52, 0.53), (0.7, 0.53)], (225, 80, 60))


def tree(p):
    p.picture = ramp((140, 195, 235), (220, 235, 225), p.rng, 0.2)
    hills(p, 0.78, 0.02, (105, 150, 65))
    p.shadow(0.55, 0.83, 0.25, 0.04)
    p.polygon([(0.46, 0.83), (0.48, 0.5), (0.54, 0.5), (0.57, 0.83)], (100, 70, 45), grain=0.8)
    for x, y, r in ((0.5, 0.3, 0.2), (0.36, 0.42, 0.15), (0.65, 0.42, 0.16), (0.5, 0.46, 0.15)):
        p.ellipse(x, y, r, r * 0.9, (60, 125, 50), grain=0.9, blur=0.008)


def house(p):
    p.picture = ramp((120, 185, 240), (210, 230, 240), p.rng, 0.2)
    hills(p, 0.8, 0.02, (90, 150, 70))
    p.box(0.25, 0.45, 0.75, 0.84, (225, 200, 160))
    p.polygon([(0.18, 0.47), (0.5, 0.18), (0.82, 0.47)], (165, 65, 50), grain=0.6)
    p.box(0.44, 0.6, 0.56, 0.84, (95, 60, 40))
    for x in (0.3, 0.61):
        p.box(x, 0.52, x + 0.1, 0.63, (90, 130, 165))


def city(p):
    p.picture = ramp((25, 30, 70), (120, 80, 120), p.rng, 0.2)
    x = 0.0
    while x < 1:
        width, top = 0.09 + 0.07 * p.rng.random(), 0.25 + 0.4 * p.rng.random()
        p.box(x, top, x + width - 0.01, 1, [40 + 20 * p.rng.random()] * 2 + [60], grain=0.1)
        for row in np.arange(top + 0.03, 0.97, 0.05):
            for column in np.arange(x + 0.015, x + width - 0.035, 0.035):
                if p.rng.random() < 0.55:
                    ImageDraw.Draw(p.picture).rectangle(px(column, row, column + 0.018, row + 0.025), fill=(255, 220, 130))
        x += width


def forest(p):
    p.picture = ramp((190, 205, 190), (120, 145, 110), p.rng, 0.3)
    for depth in range(3):
        for i in range(5 - depth):
            x, h = p.rng.random(), 0.45 + 0.15 * depth
            tone = 1 - 0.28 * depth
            for k in range(4):
                w, y = 0.06 + 0.025 * k + 0.02 * depth, 0.95 - h + h * 0.2 * k
                p.polygon([(x - w, y + h * 0.3), (x, y), (x + w, y + h * 0.3)], (80 * tone, 120 * tone, 80 * tone), grain=0.7)


def road(p):
    p.picture = ramp((160, 190, 220), (235, 225, 205), p.rng, 0.3)
    p.box(0, 0.48, 1, 1, (150, 135, 80), grain=0.6)
    p.polygon([(0.48, 0.48), (0.52, 0.48), (0.95, 1), (0.05, 1)], (90, 90, 95), grain=0.4)
    for k in range(5):
        y0, y1 = 0.5 + 0.5 * (k / 5) ** 1.6, 0.5 + 0.5 * ((k + 0.5) / 5) ** 1.6
        p.polygon([(0.5 - 0.02 * y0 * k / 3, y0), (0.5 + 0.02 * y0 * k / 3, y0), (0.5 + 0.022 * y1 * k / 3, y1), (0.5 - 0.022 * y1 * k / 3, y1)], (240, 235, 220))


def desert(p):
    p.picture = ramp((90, 160, 225), (230, 215, 180), p.rng, 0.15)
    hills(p, 0.6, 0.04, (220, 175, 110))
    hills(p, 0.78, 0.04, (200, 145, 80))
    for x, y, h in ((0.6, 0.75, 0.35),):
        p.line([(x, y), (x, y - h)], 0.07, (60, 110, 60))
        p.line([(x, y - 0.12), (x - 0.13, y - 0.12), (x - 0.13, y - 0.25)], 0.05, (65, 115, 62))
        p.line([(x, y - 0.16), (x + 0.12, y - 0.16), (x + 0.12, y - 0.28)], 0.05, (55, 105, 55))


def face(p):
    p.picture = ramp((120, 140, 160), (80, 90, 110), p.rng, 0.4)
    p.ellipse(0.5, 0.42, 0.3, 0.34, (70, 45, 30), grain=0.8)
    p.polygon([(0.2, 1), (0.32, 0.85), (0.68, 0.85), (0.8, 1)], (60, 90, 150))
    p.box(0.42, 0.7, 0.58, 0.9, (200, 150, 120))
    p.ellipse(0.5, 0.52, 0.23, 0.3, (225, 175, 145), grain=0.12)
    for x in (0.41, 0.59):
        p.ellipse(x, 0.48, 0.05, 0.028, (250, 250, 250), grain=0)
        p.ellipse(x, 0.48, 0.024, 0.026, (60, 80, 60), grain=0)
        p.line([(x - 0.06, 0.42), (x + 0.06, 0.415)], 0.018, (70, 45, 30))
    p.line([(0.5, 0.5), (0.475, 0.6), (0.515, 0.605)], 0.014, (180, 125, 100))
    p.ellipse(0.5, 0.69, 0.085, 0.028, (175, 80, 80))


def monkey(p):
    p.picture = ramp((80, 120, 70), (50, 80, 50), p.rng, 0.9)
    for x in (0.2, 0.8):
        p.ellipse(x, 0.45, 0.1, 0.12, (190, 140, 115))
    p.ellipse(0.5, 0.48, 0.33, 0.36, (120, 95, 70), grain=0.9)
    p.ellipse(0.5, 0.58, 0.23, 0.26, (215, 160, 135), grain=0.15)
    for x in (0.41, 0.59):
        p.ellipse(x, 0.47, 0.055, 0.045, (235, 190, 165), grain=0)
        p.ellipse(x, 0.47, 0.035, 0.035, (90, 55, 25), grain=0)
        p.ellipse(x, 0.47, 0.016, 0.016, (10, 10, 10), grain=0)
        p.ellipse(0.5 + (x - 0.5) * 0.3, 0.63, 0.014, 0.02, (120, 70, 60), grain=0)
    p.line([(0.38, 0.74), (0.5, 0.76), (0.62, 0.74)], 0.016, (130, 70, 65))


def cat(p):
    room(p, (200, 185, 165), (130, 90, 60))
    p.shadow(0.5, 0.9, 0.3, 0.05)
    p.ellipse(0.5, 0.7, 0.22, 0.24, (215, 140, 65), grain=0.7)
    p.line([(0.68, 0.82), (0.85, 0.75), (0.87, 0.58)], 0.05, (205, 130, 60))
    for d in (-1, 1):
        p.polygon([(0.5 + d * 0.19, 0.38), (0.5 + d * 0.19, 0.14), (0.5 + d * 0.04, 0.27)], (205, 130, 60))
    p.ellipse(0.5, 0.38, 0.2, 0.17, (220, 145, 70), grain=0.5)
    for x in (0.42, 0.58):
        p.ellipse(x, 0.36, 0.035, 0.04, (150, 200, 80), grain=0)
        p.ellipse(x, 0.36, 0.01, 0.035, (10, 10, 10), grain=0)
    p.polygon([(0.475, 0.43), (0.525, 0.43), (0.5, 0.46)], (225, 120, 120))
    for k in (-1, 0, 1):
        p.line([(0.35, 0.46 + 0.025 * k), (0.2, 0.45 + 0.05 * k)], 0.006, (250, 245, 235))
        p.line([(0.65, 0.46 + 0.025 * k), (0.8, 0.45 + 0.05 * k)], 0.006, (250, 245, 235))


def fish(p):
    p.picture = ramp((40, 140, 180), (10, 50, 90), p.rng, 0.5)
    p.polygon([(0.7, 0.5), (0.92, 0.33), (0.88, 0.5), (0.92, 0.67)], (240, 140, 40))
    p.polygon([(0.35, 0.38), (0.55, 0.22), (0.65, 0.42)], (230, 120, 35))
    p.ellipse(0.45, 0.5, 0.3, 0.18, (250, 150, 45), grain=0.4)
    for x in (0.36, 0.56):
        p.box(x, 0.36, x + 0.05, 0.64, (250, 245, 235))
    p.ellipse(0.26, 0.46, 0.04, 0.04, (255, 255, 255), grain=0)
    p.ellipse(0.25, 0.46, 0.02, 0.02, (10, 10, 10), grain=0)
    for _ in range(6):
        r = 0.008 + 0.012 * p.rng.random()
        p.ellipse(0.05 + 0.2 * p.rng.random(), 0.4 * p.rng.random(), r, r, (190, 225, 240))


def bird(p):
    p.picture = ramp((185, 215, 240), (235, 240, 235), p.rng, 0.3)
    p.line([(0, 0.8), (0.5, 0.76), (1, 0.7)], 0.04, (95, 70, 50), grain=0.9)
    p.polygon([(0.62, 0.62), (0.92, 0.82), (0.84, 0.88), (0.55, 0.7)], (45, 75, 125))
    p.ellipse(0.5, 0.56, 0.18, 0.2, (70, 120, 190), grain=0.4)
    p.ellipse(0.44, 0.62, 0.12, 0.14, (235, 160, 95), grain=0.3)
    p.ellipse(0.4, 0.34, 0.12, 0.115, (75, 125, 195), grain=0.3)
    p.polygon([(0.3, 0.33), (0.3, 0.39), (0.19, 0.37)], (235, 180, 60))
    p.ellipse(0.37, 0.32, 0.02, 0.02, (10, 10, 10), grain=0)
    for x in (0.45, 0.52):
        p.line([(x, 0.74), (x, 0.79)], 0.015, (150, 110, 60))


def butterfly(p):
    p.picture = ramp((120, 160, 80), (60, 110, 55), p.rng, 0.9)
    for d in (-1, 1):
        p.ellipse(0.5 + d * 0.2, 0.36, 0.2, 0.17, (230, 120, 30), grain=0.3)
        p.ellipse(0.5 + d * 0.16, 0.64, 0.15, 0.15, (240, 160, 50), grain=0.3)
        for x, y, r in ((0.27, 0.33, 0.05), (0.18, 0.66, 0.045)):
            p.ellipse(0.5 + d * x, y, r, r, (30, 25, 30))
            p.ellipse(0.5 + d * x, y, r * 0.5, r * 0.5, (250, 245, 235))
        p.line([(0.5, 0.3), (0.5 + d * 0.1, 0.12)], 0.008, (20, 15, 15))
    p.ellipse(0.5, 0.5, 0.028, 0.24, (35, 25, 20))


def flower(p):
    p.picture = ramp((70, 120, 60), (35, 75, 40), p.rng, 1.0)
    p.line([(0.5, 0.5), (0.47, 1)], 0.03, (80, 140, 60))
    for k in range(9):
        a = k / 9 * 2 * math.pi
        p.ellipse(0.5 + 0.2 * math.cos(a), 0.42 + 0.2 * math.sin(a), 0.115, 0.115, (235, 95 + 8 * k, 150), grain=0.3)
    p.ellipse(0.5, 0.42, 0.12, 0.12, (245, 205, 70), grain=0.9)


def leaf(p):
    p.picture = ramp((205, 190, 165), (175, 155, 130), p.rng, 0.35)
    p.shadow(0.54, 0.56, 0.27, 0.3, 0.4)
    p.polygon([(0.5 + 0.27 * math.sin(t) * (1 - 0.25 * math.cos(t)) * (1 + 0.06 * math.sin(14 * t)), 0.48 - 0.38 * math.cos(t)) for t in np.linspace(0, 6.283, 200)], (190, 80, 35), grain=0.6)
    p.line([(0.5, 0.12), (0.5, 0.97)], 0.014, (120, 50, 25))
    for k in range(6):
        y = 0.25 + 0.1 * k
        for d in (-1, 1):
            p.line([(0.5, y + 0.08), (0.5 + d * 0.18, y - 0.03)], 0.007, (130, 55, 28))


def mushroom(p):
    p.picture = ramp((90, 110, 70), (60, 70, 40), p.rng, 1.0)
    p.shadow(0.5, 0.86, 0.24, 0.05)
    p.polygon([(0.42, 0.46), (0.58, 0.46), (0.62, 0.86), (0.38, 0.86)], (235, 225, 205), grain=0.3)
    p.shape(lambda d: d.pieslice(px(0.18, 0.16, 0.82, 0.84), 180, 360, fill=255), (205, 45, 35), grain=0.25)
    p.ellipse(0.5, 0.5, 0.32, 0.05, (225, 205, 180))
    for x, y, r in ((0.35, 0.36, 0.045), (0.52, 0.26, 0.05), (0.67, 0.37, 0.045), (0.5, 0.41, 0.03)):
        p.ellipse(x, y, r, r * 0.85, (245, 240, 230), grain=0.1)


def apple(p):
    room(p, (205, 205, 195), (150, 105, 65), 0.62)
    p.shadow(0.53, 0.8, 0.26, 0.06)
    p.polygon(curve(lambda t: (0.5 + 0.26 * math.cos(t) * (1 + 0.06 * math.sin(t)), 0.56 + 0.25 * math.sin(t) + 0.05 * abs(math.cos(t)) * (math.sin(t) < 0) - 0.05 * (math.sin(t) < 0))), (195, 35, 40), light=0.9, grain=0.25)
    p.ellipse(0.4, 0.46, 0.05, 0.035, (250, 215, 205), blur=0.012, grain=0)
    p.line([(0.5, 0.36), (0.53, 0.22)], 0.02, (90, 60, 35))
    p.ellipse(0.6, 0.25, 0.08, 0.035, (80, 145, 60))


def cup(p):
    room(p, (90, 130, 140), (200, 175, 140))
    p.shadow(0.5, 0.82, 0.27, 0.05)
    p.shape(lambda d: d.arc(px(0.58, 0.42, 0.86, 0.68), 0, 360, fill=255, width=int(0.045 * S)), (225, 225, 230))
    p.polygon([(0.26, 0.34), (0.7, 0.34), (0.64, 0.82), (0.32, 0.82)], (235, 235, 240), light=0.7, angle=3.1)
    p.ellipse(0.48, 0.34, 0.22, 0.06, (210, 210, 215))
    p.ellipse(0.48, 0.35, 0.19, 0.045, (85, 50, 30))
    p.box(0.285, 0.52, 0.675, 0.58, (205, 75, 60))


def car(p):
    p.picture = ramp((185, 205, 220), (225, 225, 215), p.rng, 0.2)
    p.box(0, 0.68, 1, 1, (100, 100, 105), grain=0.5)
    p.shadow(0.5, 0.8, 0.4, 0.04, 0.7)
    p.polygon([(0.25, 0.5), (0.36, 0.33), (0.64, 0.33), (0.76, 0.5)], (175, 35, 40))
    for x0, x1 in ((0.37, 0.49), (0.51, 0.64)):
        p.polygon([(x0 - 0.03 if x0 < 0.4 else x0, 0.49), (x0, 0.37), (x1, 0.37), (x1 + 0.04 if x1 > 0.6 else x1, 0.49)], (150, 190, 210))
    p.shape(lambda d: d.rounded_rectangle(px(0.1, 0.49, 0.9, 0.72), 0.05 * S, fill=255), (195, 40, 45), light=0.5, angle=1.57)
    for x in (0.28, 0.73):
        p.ellipse(x, 0.73, 0.1, 0.1, (30, 30, 32))
        p.ellipse(x, 0.73, 0.05, 0.05, (175, 175, 180))
    p.ellipse(0.87, 0.56, 0.025, 0.03, (250, 240, 180))


def clock(p):
    p.picture = ramp((150, 80, 70), (120, 60, 55), p.rng, 0.3)
    for row in range(12):
        for column in range(7):
            ImageDraw.Draw(p.picture).rectangle(px(column / 6 - (row % 2) / 12, row / 12, column / 6 - (row % 2) / 12 + 0.16, row / 12 + 0.075), outline=(205, 180, 160), width=6)
    p.shadow(0.53, 0.54, 0.36, 0.36)
    p.ellipse(0.5, 0.5, 0.36, 0.36, (60, 45, 35))
    p.ellipse(0.5, 0.5, 0.32, 0.32, (240, 235, 220), grain=0.08)
    for k in range(12):
        a = k * math.pi / 6
        p.line([(0.5 + 0.26 * math.sin(a), 0.5 - 0.26 * math.cos(a)), (0.5 + 0.3 * math.sin(a), 0.5 - 0.3 * math.cos(a))], 0.018, (40, 35, 35))
    p.line([(0.5, 0.5), (0.38, 0.36)], 0.026, (30, 30, 35))
    p.line([(0.5, 0.5), (0.64, 0.3)], 0.018, (30, 30, 35))


def balloon(p):
    p.picture = ramp((70, 140, 220), (200, 225, 240), p.rng, 0.35)
    hills(p, 0.92, 0.02, (80, 125, 70))
    p.ellipse(0.5, 0.36, 0.26, 0.28, (225, 70, 60), light=0.6)
    for w, c in ((0.17, (245, 200, 80)), (0.07, (60, 110, 180))):
        p.ellipse(0.5, 0.36, w, 0.28, c, light=0.5)
    for d in (-1, 1):
        p.line([(0.5 + d * 0.14, 0.6), (0.5 + d * 0.05, 0.76)], 0.007, (60, 45, 35))
    p.box(0.44, 0.75, 0.56, 0.85, (140, 95, 55), grain=0.7)


def ball(p):
    p.picture = ramp((190, 200, 205), (150, 160, 170), p.rng, 0.15)
    image = np.asarray(p.picture, float).copy()
    y, x = np.mgrid[0:S, 0:S] / S
    floor = y > 0.55
    depth = 0.12 / np.maximum(y - 0.5, 1e-3)
    tiles = (np.floor((x - 0.5) * depth * 8) + np.floor(depth * 8)) % 2
    image[floor] = (np.where(tiles[..., None] > 0, np.array([225, 220, 210]), np.array([60, 65, 75])))[floor]
    u, v = (x - 0.5) / 0.27, (y - 0.52) / 0.27
    inside = u * u + v * v < 1
    w = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
    diffuse = np.clip(-0.5 * u - 0.6 * v + 0.62 * w, 0, 1)
    gloss = np.clip(-0.36 * u - 0.42 * v + 0.83 * w, 0, 1) ** 60
    p.picture = Image.fromarray(image.astype(np.uint8))
    p.shadow(0.55, 0.79, 0.28, 0.05, 0.7)
    image = np.asarray(p.picture, float).copy()
    shaded = np.array([30, 120, 150]) * (0.25 + 0.95 * diffuse[..., None]) + 230 * gloss[..., None]
    image[inside] = shaded[inside]
    p.picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


def stones(p):
    p.picture = ramp((90, 80, 70), (60, 55, 50), p.rng, 0.5)
    for _ in range(46):
        x, y, r = p.rng.random(), p.rng.random(), 0.05 + 0.08 * p.rng.random()
        p.shadow(x + 0.01, y + 0.015, r, r * 0.8, 0.4)
        tone, warm = 110 + 100 * p.rng.random(), 25 * p.rng.random()
        p.ellipse(x, y, r, r * (0.65 + 0.3 * p.rng.random()), (tone + warm, tone, tone - warm), light=0.8, grain=0.5)


def window(p):
    p.picture = ramp((95, 70, 90), (80, 60, 80), p.rng, 0.25)
    p.box(0.2, 0.12, 0.8, 0.82, (235, 228, 215))
    p.box(0.24, 0.16, 0.76, 0.78, (140, 195, 235), grain=0.4)
    p.ellipse(0.4, 0.36, 0.12, 0.06, (250, 250, 252), blur=0.01)
    p.polygon([(0.24, 0.78), (0.24, 0.62), (0.5, 0.55), (0.76, 0.66), (0.76, 0.78)], (95, 150, 75), grain=0.7)
    p.box(0.485, 0.16, 0.515, 0.78, (235, 228, 215))
    p.box(0.24, 0.45, 0.76, 0.48, (235, 228, 215))
    p.box(0.16, 0.8, 0.84, 0.87, (220, 210, 195))
    for d in (-1, 1):
        p.polygon([(0.5 + d * 0.36, 0.05), (0.5 + d * 0.2, 0.05), (0.5 + d * 0.27, 0.5), (0.5 + d * 0.33, 0.9), (0.5 + d * 0.42, 0.9)], (180, 55, 60), grain=0.5)


def draw_references(folder):
    """Writes one PNG of 128 px per picture."""
    os.makedirs(folder, exist_ok=True)
    pictures = [
        sunset, mountains, sea, tree, house, city, forest, road, desert, face, monkey, cat, fish, bird,
        butterfly, flower, leaf, mushroom, apple, cup, car, clock, balloon, ball, stones, window,
    ]
    for index, draw in enumerate(pictures):
        painter = Painter(Image.new("RGB", (S, S)), np.random.Generator(np.random.PCG64(900 + index)))
        draw(painter)
        grain = np.random.Generator(np.random.PCG64(index)).normal(0, 2.0, (SIZE_PX, SIZE_PX, 1))
        small = np.asarray(painter.picture.resize((SIZE_PX, SIZE_PX), Image.LANCZOS), float) + grain
        Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).save(os.path.join(folder, f"{draw.__name__}.png"), optimize=True)
