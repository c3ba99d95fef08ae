#!/usr/bin/python3
"""Draws the built-in image generators `shapes-g1` and `shapes-g2` as ONNX graphs, and the reference images.

The generator is not trained: it is a small differentiable renderer. A 64-d latent, turned by a fixed orthogonal matrix,
sets the outline, pose, colours, shading, texture and inner features of one object and the colours and textures of its
background. Every parameter passes a tanh, so the zero latent is a bland grey picture with a faint blob, ordinary latents
(norm about 8) are vivid, and huge ones stay pictures.

shapes-g1 always has its object, as a stimulus should. shapes-g2 has one parameter more, by which the object with its shadow fades to
nothing: only a generator that can leave the object out can show that a search has no use for it. It is for the ablation demonstration.

Usage (Debian: apt-get install python3-torch python3-onnx python3-pil):
    /usr/bin/python3 models/train/draw_generator.py              writes models/shapes-g1, models/shapes-g2 and models/references
    /usr/bin/python3 models/train/draw_generator.py --only shapes-g2   that model alone
    /usr/bin/python3 models/train/draw_generator.py --sheet X.png   also a sheet of random samples, to look at
"""
import argparse
import math
import os

import numpy as np
import torch

from common import export_onnx, models_dir, write_manifest

SIZE_PX = 160
LATENT_DIM = 64
# The encoders that shapes-g2 is for see 64 pixels; a larger picture would only cost.
FADING_SIZE_PX = 96
SEED = 20240611


def plane(size_px):
    """Pixel centres in [-1, 1], x to the right, y down; two tensors [1, size*size]."""
    line = (torch.arange(size_px) + 0.5) / size_px * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return x.reshape(1, -1), y.reshape(1, -1)


def opponent_to_rgb():
    """Rows: lightness, red-green, blue-yellow; signed RGB about mid grey."""
    return torch.tensor([[0.62, 0.62, 0.62], [0.62, -0.38, -0.08], [0.20, 0.16, -0.78]])


class ShapesGenerator(torch.nn.Module):
    """latent [n, 64, or 65 where the object can fade] -> image [n, 3, s, s], object mask [n, 1, s, s], background without object [n, 3, s, s], all 0..1."""

    def __init__(self, size_px=SIZE_PX, fades=False):
        super().__init__()
        self.size_px = size_px
        self.fades = fades
        self.latent_dim = LATENT_DIM + (1 if fades else 0)
        generator = np.random.Generator(np.random.PCG64(SEED))
        q, r = np.linalg.qr(generator.standard_normal((self.latent_dim, self.latent_dim)))
        self.register_buffer("mix", torch.tensor(q * np.sign(np.diag(r)), dtype=torch.float32))
        x, y = plane(size_px)
        self.register_buffer("x", x)
        self.register_buffer("y", y)
        self.register_buffer("palette", opponent_to_rgb())
        # [x, y, 1] rows for every affine field, [x^2 + y^2, x, y, 1] for every round blob.
        self.register_buffer("affine", torch.cat([x, y, torch.ones_like(x)])[None])
        self.register_buffer("quadratic", torch.cat([x * x + y * y, x, y, torch.ones_like(x)])[None])

    def forward(self, latent):
        raw = 1.25 * (latent @ self.mix)
        p = torch.tanh(raw)
        taken = [0]

        def take(count):
            first = taken[0]
            taken[0] += count
            return p[:, first : first + count]

        def take_vectors(count):
            """`count` vectors of the plane, saturated by their length, so that no direction is preferred: x parts, y parts."""
            x, y = raw[:, taken[0] : taken[0] + count], raw[:, taken[0] + count : taken[0] + 2 * count]
            taken[0] += 2 * count
            shrink = torch.rsqrt(1 + 0.55 * (x * x + y * y)) * 0.9
            return x * shrink, y * shrink

        def affine(a, b, c):
            """Fields a x + b y + c; the coefficients are [n, k], the result [n, k, pixels]."""
            return torch.matmul(torch.stack([a, b, c], 2), self.affine)

        # --- pose: object coordinates u, v with the outline's mean radius at 1
        cx, cy = take_vectors(1)
        cx, cy = 0.36 * cx, 0.36 * cy
        size = 0.46 * torch.exp(0.42 * take(1))
        a, b = take_vectors(1)
        a, b = 0.46 * a, 0.46 * b
        m11, m12, m22 = (1 + a) / size, b / size, (1 - a) / size
        uv = affine(torch.cat([m11, m12], 1), torch.cat([m12, m22], 1), torch.cat([-(m11 * cx + m12 * cy), -(m12 * cx + m22 * cy)], 1))
        u, v = uv[:, :1], uv[:, 1:]
        squared = u * u + v * v + 1e-4
        radius = torch.sqrt(squared)
        c1, s1 = u / radius, v / radius

        # --- outline: log radius = harmonics 3 to 7 of the angle by the recurrence of cos and sin, sharpened or rounded
        harmonics = take(10)
        sharpness = 0.9 * take(1)
        c2, s2 = c1 * c1 - s1 * s1, 2 * c1 * s1
        c3, s3 = c2 * c1 - s2 * s1, s2 * c1 + c2 * s1
        c4, s4 = c2 * c2 - s2 * s2, 2 * c2 * s2
        c5, s5 = c3 * c2 - s3 * s2, s3 * c2 + c3 * s2
        c7, s7 = c4 * c3 - s4 * s3, s4 * c3 + c4 * s3
        waves = torch.cat([c2, s2, c3, s3, c4, s4, c5, s5, c7, s7], 1)
        weights = harmonics * torch.tensor([0.16, 0.16, 0.26, 0.26, 0.22, 0.22, 0.20, 0.20, 0.13, 0.13])
        bump = torch.matmul(weights[:, None, :], waves)
        outline = torch.exp(bump + sharpness[:, :, None] * bump * torch.abs(bump) * 2.2)
        depth = radius / outline  # 0 in the middle, 1 on the outline
        mask = torch.sigmoid(26 * (1 - depth))
        presence = 0.5 + 0.5 * take(1)[:, :, None] if self.fades else None
        if presence is not None:
            mask = presence * mask

        # --- colours, signed about grey: object, its second colour, background, its second colour
        object_colour = torch.matmul(take(3), self.palette) * 1.25
        second_colour = torch.matmul(take(3), self.palette) * 1.25
        back_colour = torch.matmul(take(3), self.palette) * 0.95
        back_second = torch.matmul(take(3), self.palette) * 1.1

        # --- the object's surface: two gratings and their product, made harder by one parameter, in object coordinates
        fu, fv = take_vectors(2)
        fu, fv = 7.5 * fu, 7.5 * fv
        amount = take(3)
        crisp = (2.4 * torch.exp(0.9 * take(1)))[:, :, None]
        phase = torch.tensor([[0.6, 1.9]])
        gratings = torch.sin(torch.matmul(torch.stack([fu, fv], 2), uv) + phase[:, :, None])
        cells = gratings[:, :1] * gratings[:, 1:]
        texture = torch.tanh(crisp * torch.matmul(amount[:, None, :], torch.cat([gratings, 1.6 * cells], 1)))

        # --- a pair of round inner features, mirrored about the object's long axis
        place = 0.45 * take(2)
        apart = 0.42 * take(1)
        spot_radius = 0.24 * torch.exp(0.5 * take(1))
        spot_amount = 1.5 * take(1)
        du = torch.cat([u - (place[:, :1] + apart)[:, :, None], u - (place[:, :1] - apart)[:, :, None]], 1)
        dv = v - place[:, 1:][:, :, None]
        gone = du * du + dv * dv
        inverse = (1 / (spot_radius * spot_radius))[:, :, None]
        disc = torch.sigmoid(7 * (1 - gone * inverse))
        pupil = torch.sigmoid(7 * (1 - gone * inverse * 6))
        discs = disc[:, :1] + disc[:, 1:] - disc[:, :1] * disc[:, 1:]
        pupils = pupil[:, :1] + pupil[:, 1:]

        # --- light: normals of a cushion under the outline
        lx, ly = take_vectors(1)
        shade = take(1)
        gloss = take(1)
        rim = take(1)
        inside = torch.clamp(1 - depth * depth, 0, 1)
        up = torch.sqrt(inside + 0.02)
        lx, ly = (0.75 * lx)[:, :, None], (0.75 * ly)[:, :, None]
        tilt = depth * (c1 * lx + s1 * ly)
        lit = (tilt + 0.55 * (up - 0.62)) * (0.12 + 0.9 * shade * shade)[:, :, None]
        hu, hv = c1 * depth - 0.62 * lx, s1 * depth - 0.62 * ly
        highlight = torch.exp(-(hu * hu + hv * hv) * 26) * (1.7 * gloss * gloss)[:, :, None]
        edge = torch.exp(-((depth - 0.95) * (depth - 0.95)) * 160) * (1.1 * rim)[:, :, None]

        def tint(colour, field):
            return colour[:, :, None] * field

        surface = object_colour[:, :, None] + tint(0.8 * second_colour - 0.35 * object_colour, texture)
        surface = surface + tint(spot_amount * (0.35 - object_colour) + 0.25 * spot_amount, discs)
        surface = surface - tint(1.2 * torch.abs(spot_amount), pupils)
        surface = surface + 1.15 * lit + highlight + edge + 0.06

        # --- background: a slope, three gratings made harder by one parameter, two blobs, a cast shadow
        slope_x, slope_y = take_vectors(1)
        wave_x, wave_y = take_vectors(3)
        back_amount = take(3)
        hardness = take(1)
        bx, by = take_vectors(2)
        bx, by = 0.85 * bx, 0.85 * by
        blob_amount = take(2)
        scale = torch.tensor([[5.0, 9.0, 16.0]])
        back_phase = torch.tensor([[0.4, 1.1, 2.3]]).expand_as(back_amount)
        waves3 = torch.sin(affine(scale * wave_x, scale * wave_y, back_phase))
        mixed = torch.matmul((back_amount * torch.tensor([[1.0, 0.9, 0.7]]))[:, None, :], waves3)
        mixed = torch.tanh(mixed * (1.2 * torch.exp(1.1 * hardness))[:, :, None])
        tight = torch.tensor([[-7.0, -3.5]]).expand_as(bx)
        blobs = torch.exp(
            torch.matmul(torch.stack([tight, -2 * tight * bx, -2 * tight * by, tight * (bx * bx + by * by)], 2), self.quadratic)
        )
        gradient = affine(slope_x, slope_y, torch.zeros_like(slope_x))
        fields = torch.cat([mixed, gradient, blobs], 1)
        colours = torch.stack(
            [
                back_second,
                0.7 * (back_colour - back_second),
                blob_amount[:, :1] * (second_colour + 0.3),
                blob_amount[:, 1:] * (back_second - back_colour - 0.3),
            ],
            2,
        )
        ground = back_colour[:, :, None] + torch.matmul(colours, fields)
        away = torch.clamp(1.35 - depth + 0.5 * tilt, 0, 1)
        shadow = away * away * (0.03 + 0.55 * shade * shade)[:, :, None]
        shown = ground - (shadow if presence is None else presence * shadow)
        assert taken[0] == self.latent_dim, taken[0]

        signed = shown + mask * (surface - shown)
        shape = (-1, 3, self.size_px, self.size_px)
        image = 0.5 + 0.5 * torch.tanh(1.25 * signed)
        background = 0.5 + 0.5 * torch.tanh(1.25 * ground)
        return image.reshape(shape), mask.reshape(-1, 1, self.size_px, self.size_px), background.reshape(shape)


def sheet(images, columns):
    """[n, 3, h, w] in 0..1 -> one picture, uint8 [rows * h, columns * w, 3]."""
    n, _, h, w = images.shape
    rows = math.ceil(n / columns)
    out = np.zeros((rows * (h + 2), columns * (w + 2), 3), np.uint8)
    for i in range(n):
        r, c = divmod(i, columns)
        out[r * (h + 2) : r * (h + 2) + h, c * (w + 2) : c * (w + 2) + w] = (images[i].transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)
    return out


KINDS = {
    "shapes-g1": (
        "Shapes G1",
        "A drawn, differentiable renderer: one shaded object over a textured background, 64-d. Gives the object's mask and the background alone.",
        SIZE_PX,
        False,
    ),
    "shapes-g2": (
        "Shapes G2",
        "As Shapes G1 at 96 pixels, with one dimension more by which the object fades to nothing. For ablation experiments on the plain networks.",
        FADING_SIZE_PX,
        True,
    ),
}


def draw_one(name, title, description, net, arguments):
    torch.manual_seed(1)
    if arguments.sheet:
        from PIL import Image

        with torch.no_grad():
            z = torch.randn(40, net.latent_dim)
            parts = [net(0 * z[:1])[0], net(0.25 * z[:4])[0], net(0.5 * z[:3])[0], net(z)[0], net(3 * z[:8])[0]]
            root, extension = os.path.splitext(arguments.sheet)
            Image.fromarray(sheet(torch.cat(parts).numpy(), 8)).save(f"{root}-{name}{extension}")
    if arguments.no_export:
        return
    folder = os.path.join(models_dir(), name)
    path = os.path.join(folder, f"{name}.onnx")
    measured = export_onnx(net, torch.randn(3, net.latent_dim), path, inputs=["latent"], outputs=["image", "mask", "background"])
    write_manifest(
        folder,
        {
            "kind": "generator",
            "id": name,
            "title": title,
            "description": description,
            "file": f"{name}.onnx",
            "licence": "MIT",
            "source": "drawn by this repository",
            "madeBy": "/usr/bin/python3 models/train/draw_generator.py",
            "measured": measured,
            "input": {"name": "latent", "dim": net.latent_dim},
            "output": {"name": "image", "width": net.size_px, "height": net.size_px, "range": [0, 1]},
            "parts": {"mask": "mask", "background": "background"},
            "latent": {"initialStepSize": 0.4, "typicalNorm": 8.0},
        },
    )


def main():
    parser = argparse.ArgumentParser(description="Draw the built-in generator and the reference images.")
    parser.add_argument("--sheet", help="also write a PNG sheet of samples to this path")
    parser.add_argument("--no-export", action="store_true", help="only the sheet")
    parser.add_argument("--no-references", action="store_true")
    parser.add_argument("--only", choices=list(KINDS), help="this model alone, no references")
    arguments = parser.parse_args()
    for name, (title, description, size_px, fades) in KINDS.items():
        if arguments.only in (None, name):
            draw_one(name, title, description, ShapesGenerator(size_px, fades).eval(), arguments)
    if not arguments.no_references and arguments.only is None:
        from references import draw_references

        draw_references(os.path.join(models_dir(), "references"))


if __name__ == "__main__":
    main()
