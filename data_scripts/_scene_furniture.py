"""Street furniture of the painted scenes: lamp posts, bollards, traffic lights, signs, fences, bins."""

from __future__ import annotations

import math

import numpy as np

from course_utils.classes import CLASS_NAMES, VOID
from data_scripts._scene_brush import UP, Brush, box, ring

POLE, SIGN, FENCE = (CLASS_NAMES.index(name) for name in ("Pole", "SignSymbol", "Fence"))
X = np.array([1.0, 0.0, 0.0])
Z = np.array([0.0, 0.0, 1.0])
THINNEST = 2.0
"""Poles stay this many canvas pixels wide however far away they are."""


def paint_lamp_post(brush: Brush, base: np.ndarray, side: int, rng: np.random.Generator) -> None:
    """Draw a lamp post whose arm reaches over the road."""
    depth = brush.depth(base)
    albedo = np.array(
        [(0.42, 0.43, 0.44), (0.22, 0.24, 0.23), (0.30, 0.36, 0.33), (0.6, 0.6, 0.6)][int(rng.integers(4))]
    )
    colour = brush.light.shade(albedo, None, depth)
    tall = rng.uniform(5.0, 8.5)
    top = base + UP * tall
    glow = brush.light.through_haze(np.array([1.0, 0.86, 0.55]) if brush.light.dusk else albedo * 1.3, depth)
    brush.stroke(base, base + UP * 1.2, 0.09, colour, POLE, THINNEST)
    brush.stroke(base, top, (0.065, 0.045), colour, POLE, THINNEST)
    if rng.random() < 0.7:
        bow = rng.uniform(0.3, 0.7)
        elbow, end = top + UP * bow - X * side * 0.35, top + UP * (bow + 0.12) - X * side * 1.5
        brush.stroke(top, elbow, 0.05, colour, POLE, THINNEST)
        brush.stroke(elbow, end, 0.05, colour, POLE, THINNEST)
        brush.stroke(end, end - X * side * 0.55, (0.11, 0.08), glow, POLE, THINNEST)
    else:
        brush.stroke(top, top + UP * 0.35, (0.12, 0.2), glow, POLE, THINNEST)
        brush.stroke(top + UP * 0.4, top + UP * 0.5, (0.22, 0.06), colour, POLE)


def paint_bollard(brush: Brush, base: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a bollard with a white band."""
    depth = brush.depth(base)
    albedo = np.full(3, rng.choice([0.1, 0.2, 0.5]))
    brush.stroke(base, base + UP * 0.95, 0.08, brush.light.shade(albedo, None, depth), POLE, THINNEST)
    brush.stroke(base + UP * 0.75, base + UP * 0.78, 0.085, brush.light.shade(np.full(3, 0.85), None, depth), POLE)


def paint_beacon(brush: Brush, base: np.ndarray) -> None:
    """Draw the striped pole with the orange globe that stands at a zebra crossing."""
    depth = brush.depth(base)
    for i in range(10):
        colour = brush.light.shade(np.full(3, 0.85 if i % 2 else 0.1), None, depth)
        brush.stroke(base + UP * 0.27 * i, base + UP * 0.27 * (i + 1), 0.05, colour, POLE, THINNEST)
    brush.ball(base + UP * 2.9, 0.22, brush.light.shade(np.array([0.95, 0.6, 0.15]), None, depth), SIGN)


def paint_traffic_light(brush: Brush, base: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a traffic light that faces the camera, one of its three lamps lit."""
    depth = brush.depth(base)
    steel, black = (brush.light.shade(np.full(3, v), None, depth) for v in (rng.choice([0.3, 0.5]), 0.07))
    foot = rng.uniform(2.1, 2.6)
    brush.stroke(base, base + UP * (foot + 0.3), 0.06, steel, POLE, THINNEST)
    board = rng.random() < 0.6
    for grow, colour in ((0.1, brush.light.shade(np.full(3, 0.8), None, depth)), (0.06 if board else 0.0, black)):
        if grow < 0.1 or board:
            brush.face(_panel(base + UP * foot, 0.2 + grow, -grow, 1.0 + grow), colour, SIGN)
    lit = int(rng.integers(3))
    lamps = [(0.95, 0.15, 0.1), (1.0, 0.65, 0.1), (0.2, 0.95, 0.5)]
    for i, lamp in enumerate(lamps):
        colour = brush.light.through_haze(np.array(lamp) * (1.0 if i == lit else 0.13), depth)
        brush.ball(base + UP * (foot + 0.82 - 0.32 * i) - Z * 0.02, 0.13, colour, SIGN)


def _panel(foot: np.ndarray, half: float, bottom: float, top: float) -> np.ndarray:
    corners = ((-half, bottom), (half, bottom), (half, top), (-half, top))
    return np.stack([foot + X * x + UP * y for x, y in corners])


def paint_sign(brush: Brush, base: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a road sign on its pole: round, three-cornered, or a direction board; some show their grey back."""
    depth = brush.depth(base)
    grey = brush.light.shade(np.full(3, 0.5), None, depth)
    kind = rng.choice(["limit", "blue", "warning", "no entry", "board", "back"], p=[0.2, 0.17, 0.2, 0.1, 0.2, 0.13])
    foot = rng.uniform(2.0, 2.6)
    centre = base + UP * (foot + 0.35) - Z * 0.05
    size = rng.uniform(0.32, 0.48)
    brush.stroke(base, base + UP * (foot + 0.2), 0.045, grey, POLE, THINNEST)

    def shade(*albedo: float):
        return brush.light.shade(np.array(albedo), None, depth)

    red, white, black = shade(0.8, 0.1, 0.1), shade(0.9, 0.9, 0.88), shade(0.06, 0.06, 0.06)
    if kind == "board":
        wide, tall = rng.uniform(0.7, 1.5), rng.uniform(0.5, 1.0)
        ground = [(0.05, 0.3, 0.2), (0.1, 0.22, 0.5), (0.88, 0.88, 0.85)][int(rng.integers(3))]
        ink = white if ground[0] < 0.5 else black
        brush.face(_panel(centre, wide, -tall / 2 - 0.05, tall / 2 + 0.05), ink, SIGN)
        brush.face(_panel(centre, wide - 0.06, -tall / 2, tall / 2), shade(*ground), SIGN)
        for row in np.arange(-tall / 2 + 0.12, tall / 2 - 0.12, 0.26):
            brush.face(_panel(centre + UP * row - X * rng.uniform(0, 0.2), wide * 0.55, 0.0, 0.12), ink, SIGN)
        return
    if kind == "warning":
        for scale, colour in ((1.25, red), (0.85, white)):
            brush.face(centre - UP * 0.1 + _triangle() * size * scale, colour, SIGN)
        brush.face(_panel(centre - UP * 0.15, size * 0.12, 0, size * 0.55), black, SIGN)
        return
    if kind == "back":
        brush.face(ring(centre, X, UP, size), grey, SIGN)
        return
    outer = {"limit": red, "blue": white, "no entry": red}[kind]
    brush.face(ring(centre, X, UP, size), outer, SIGN)
    if kind == "no entry":
        brush.face(_panel(centre, size * 0.7, -size * 0.18, size * 0.18), white, SIGN)
        return
    brush.face(
        ring(centre, X, UP, size * (0.74 if kind == "limit" else 0.9)),
        white if kind == "limit" else shade(0.1, 0.25, 0.6),
        SIGN,
    )
    if kind == "limit":
        for shift in (-0.28, 0.24):
            brush.face(_panel(centre + X * size * shift, size * 0.14, -size * 0.34, size * 0.34), black, SIGN)
    else:
        brush.face(_panel(centre, size * 0.1, -size * 0.5, size * 0.3), white, SIGN)
        brush.face(centre + UP * size * 0.3 + _triangle() * size * 0.38, white, SIGN)


def _triangle() -> np.ndarray:
    turn = np.array([math.pi / 2, math.pi * 7 / 6, math.pi * 11 / 6])
    return np.stack([np.cos(turn), np.sin(turn), np.zeros(3)], axis=1)


def paint_fence(brush: Brush, points: np.ndarray, height: float, kind: str, rng: np.random.Generator) -> None:
    """Draw a fence along points (N, 3) on the ground: "railing", "boards" or "guard".

    The whole panel has the code Fence, also what is seen between the bars, as in CamVid.
    """
    albedos = {"railing": [(0.08, 0.08, 0.09), (0.16, 0.22, 0.18)], "guard": [(0.5, 0.5, 0.5), (0.62, 0.62, 0.6)]}
    albedos["boards"] = [(0.42, 0.33, 0.24), (0.30, 0.24, 0.19), (0.45, 0.44, 0.41), (0.26, 0.32, 0.22)]
    choices = albedos[kind]
    albedo = np.array(choices[int(rng.integers(len(choices)))]) * rng.uniform(0.8, 1.2)
    step = {"railing": 0.16, "boards": 0.2, "guard": 0.14}[kind]
    for start, end in zip(points[:0:-1], points[-2::-1], strict=True):
        length = float(np.linalg.norm(end - start))
        panel = np.stack([start, end, end + UP * height, start + UP * height])
        depth = brush.depth((start + end) / 2)
        if depth < -length:
            continue
        normal = np.cross(end - start, UP) / length
        normal = normal if normal @ (brush.camera.eye - start) > 0 else -normal
        colour = brush.light.shade(albedo, normal if kind == "boards" else None, depth)
        count = max(2, int(length / step))
        share = np.arange(count)[:, None] / count
        feet = start + (end - start) * share
        if kind == "boards":
            tones = [brush.light.shade(albedo * t, normal, depth) for t in (0.86, 0.95, 1.05, 1.12)]
            brush.face(panel, colour, FENCE)
            nexts = feet + (end - start) / count * 0.92
            boards = np.stack([feet, nexts, nexts + UP * height * 0.97, feet + UP * height * 0.97], axis=1)
            brush.faces(boards, [tones[i] for i in rng.integers(0, 4, count)], FENCE)
            continue
        brush.claim(panel, FENCE)
        bars = np.stack([feet, feet + UP * height], axis=1)
        for bar in bars:
            brush.line(bar, 0.025, colour, FENCE)
        for y, thick in ((height * 0.93, 0.05), (height * 0.12, 0.04)):
            brush.line(np.stack([start + UP * y, end + UP * y]), thick, colour, FENCE)
        brush.stroke(start, start + UP * (height + 0.08), 0.04, colour, FENCE)


def paint_bin(brush: Brush, base: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a thing that CamVid leaves unlabelled: a wheeled bin, a litter bin or a pillar box."""
    depth = brush.depth(base)
    kind = rng.choice(["wheeled", "litter", "pillar box"])
    if kind == "wheeled":
        albedo = np.array([(0.12, 0.22, 0.14), (0.13, 0.13, 0.14), (0.15, 0.2, 0.35)][int(rng.integers(3))])
        box(brush, base, Z, (0.6, 1.0, 0.55), albedo, VOID)
        box(brush, base + UP * 1.0, Z, (0.66, 0.08, 0.6), albedo * 1.25, VOID)
    elif kind == "litter":
        brush.stroke(base, base + UP * 0.85, 0.25, brush.light.shade(np.full(3, 0.14), None, depth), VOID)
        brush.stroke(base + UP * 0.8, base + UP * 0.82, 0.27, brush.light.shade(np.full(3, 0.4), None, depth), VOID)
    else:
        red = np.array([0.62, 0.09, 0.08])
        brush.stroke(base, base + UP * 1.3, 0.23, brush.light.shade(red, None, depth), VOID)
        brush.stroke(base + UP * 1.35, base + UP * 1.45, (0.27, 0.18), brush.light.shade(red * 0.9, None, depth), VOID)
        slot = base + UP * 1.15 - Z * 0.24
        brush.line(
            np.stack([slot - X * 0.12, slot + X * 0.12]), 0.05, brush.light.shade(np.full(3, 0.05), None, depth), VOID
        )
