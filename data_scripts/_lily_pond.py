"""A painting of our own in visible strokes: a lily pond at evening, in a palette like that of the late Monet."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

WATER = ((58, 84, 150), (96, 110, 176), (70, 128, 150), (132, 120, 186), (86, 150, 160))
GLOW = ((236, 196, 150), (240, 176, 160), (226, 160, 186), (246, 220, 170))
WILLOW = ((54, 100, 78), (84, 132, 70), (40, 82, 92), (120, 150, 74), (70, 88, 120))
PAD = ((92, 160, 104), (128, 182, 112), (70, 136, 120), (160, 196, 130))
BLOSSOM = ((246, 226, 232), (232, 150, 176), (250, 240, 214), (216, 84, 110))
BRISTLES = 5


def paint_lily_pond(height: int = 384, width: int = 512, seed: int = 0) -> np.ndarray:
    """Paint the pond, ``(height, width, 3)`` uint8; the same seed gives the same strokes."""
    random = np.random.default_rng(seed)
    unit = min(height, width) / 100
    canvas = Image.new("RGB", (width, height), (86, 104, 150))
    draw = ImageDraw.Draw(canvas)
    pads = _pads(random)
    for length, thick, count in ((22, 5.0, 500), (13, 3.0, 1400), (8, 1.8, 1800)):
        for _ in range(count):
            x, y = random.random(2)
            colours, angle = _what_is_at(x, y, random)
            _stroke(draw, random, (x * width, y * height), angle, length * unit, thick * unit, colours)
    for x, y, size in pads:
        _lily(draw, random, (x * width, y * height), size * unit)
    return np.asarray(canvas).copy()


def _what_is_at(x: float, y: float, random: np.random.Generator) -> tuple[tuple, float]:
    """Colours to choose from, and the direction of a stroke, at a place in shares of the canvas."""
    edge = 0.24 + 0.10 * math.sin(7 * x + 1) + 0.05 * math.sin(17 * x)
    curtain = abs(x - 0.12) < 0.09 or abs(x - 0.86) < 0.07
    if y < edge or (curtain and y < 0.78 + 0.1 * math.sin(40 * x)):
        return WILLOW, math.pi / 2 + random.normal(0, 0.16)
    glow = math.exp(-(((x - 0.5) / 0.2) ** 2) - ((y - 0.62) / 0.3) ** 2)
    return (GLOW if random.random() < 0.85 * glow else WATER), random.normal(0, 0.14)


def _pads(random: np.random.Generator) -> list[tuple[float, float, float]]:
    """Places and sizes of lilies in drifts, the nearer the larger."""
    found = []
    for _ in range(9):
        x, y = random.uniform(0.05, 0.95), random.uniform(0.48, 0.95)
        for _ in range(int(random.integers(4, 9))):
            at = y + random.normal(0, 0.02)
            found.append((x + random.normal(0, 0.07), at, 1.5 + 5 * max(at - 0.4, 0)))
    return sorted(found, key=lambda pad: pad[1])


def _lily(draw: ImageDraw.ImageDraw, random: np.random.Generator, at: tuple[float, float], size: float) -> None:
    for _ in range(7):
        place = (at[0] + random.normal(0, size), at[1] + random.normal(0, 0.3 * size))
        _stroke(draw, random, place, random.normal(0, 0.2), 3 * size, 0.7 * size, PAD)
    if random.random() < 0.45:
        for _ in range(5):
            place = (at[0] + random.normal(0, 0.5 * size), at[1] - 0.4 * size + random.normal(0, 0.2 * size))
            _stroke(draw, random, place, random.uniform(-1.2, 1.2), 1.1 * size, 0.5 * size, BLOSSOM)


def _stroke(
    draw: ImageDraw.ImageDraw,
    random: np.random.Generator,
    at: tuple[float, float],
    angle: float,
    length: float,
    thick: float,
    colours: tuple,
) -> None:
    """One pull of the brush: parallel bristles, each with paint of its own, bent a little."""
    colour = np.array(colours[int(random.integers(len(colours)))], float) + random.normal(0, 9, 3)
    bend = random.normal(0, 0.25)
    length *= random.uniform(0.6, 1.2)
    along = np.array([math.cos(angle), math.sin(angle)])
    across = np.array([-along[1], along[0]])
    for bristle in range(BRISTLES):
        offset = (bristle / (BRISTLES - 1) - 0.5) * thick
        light = random.normal(0, 14) + 10 * (bristle == 0)
        ends = random.uniform(0.8, 1.0, 2)
        steps = np.linspace(-0.5 * ends[0], 0.5 * ends[1], 5)
        points = [
            tuple(np.add(at, along * s * length + across * (offset + bend * (s * 2) ** 2 * thick))) for s in steps
        ]
        ink = tuple(int(value) for value in np.clip(colour + light, 20, 252))
        draw.line(points, fill=ink, width=max(round(thick / BRISTLES * 1.4), 1), joint="curve")
