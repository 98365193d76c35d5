"""Trees and hedges of the painted street scenes: trunks that fork, and leaves in clusters."""

from __future__ import annotations

import math

import numpy as np

from course_utils.classes import CLASS_NAMES
from data_scripts._scene_brush import UP, Brush
from data_scripts._scene_light import Colour

TREE = CLASS_NAMES.index("Tree")

LEAVES = np.array(
    [
        (0.27, 0.36, 0.15),
        (0.20, 0.30, 0.16),
        (0.38, 0.42, 0.18),
        (0.33, 0.36, 0.24),
        (0.45, 0.38, 0.20),
        (0.17, 0.23, 0.15),
        (0.42, 0.29, 0.20),
    ]
)
"""Leaf colours: summer greens, olive, autumn brown, evergreen, copper beech."""


def paint_tree(brush: Brush, base: np.ndarray, height: float, rng: np.random.Generator) -> None:
    """Draw a tree that stands at `base` (3,)."""
    kind = rng.choice(["leafy", "bare", "conifer"], p=[0.68, 0.2, 0.12])
    depth = brush.depth(base)
    bark = np.array([0.30, 0.26, 0.22]) * rng.uniform(0.6, 1.2)
    lean = np.array([rng.normal(0, 0.05), 1.0, rng.normal(0, 0.05)])
    girth = height * rng.uniform(0.016, 0.026)
    if kind == "bare":
        paint_branches(brush, base, height, girth, brush.light.shade(bark, None, depth), rng)
        return
    leaf = LEAVES[int(rng.integers(len(LEAVES)))] * rng.uniform(0.8, 1.25)
    fork = base + lean * height * rng.uniform(0.25, 0.42)
    brush.stroke(base, fork, (girth * 1.3, girth), brush.light.shade(bark, None, depth), TREE)
    if kind == "conifer":
        clusters = np.array([(0, t, 0.62 * (1.02 - t)) for t in np.linspace(0.15, 0.97, 9)])
        centres = base + np.stack([0 * clusters[:, 0], clusters[:, 1] * height, 0 * clusters[:, 0]], axis=1)
        radii = clusters[:, 2] * height * 0.42
    else:
        count = int(rng.integers(9, 15))
        spread = rng.uniform(0.24, 0.34) * height
        offsets = rng.normal(size=(count, 3))
        offsets *= rng.uniform(0.35, 1.0, (count, 1)) / np.linalg.norm(offsets, axis=1, keepdims=True)
        centres = base + UP * height * 0.68 + offsets * np.array([spread, height * 0.27, spread])
        radii = rng.uniform(0.10, 0.17, count) * height
        for centre in centres[:5]:
            brush.stroke(fork, centre, (girth * 0.7, girth * 0.2), brush.light.shade(bark, None, depth), TREE)
    paint_leaves(brush, centres, radii, leaf, rng)


def paint_leaves(
    brush: Brush, centres: np.ndarray, radii: np.ndarray, albedo: np.ndarray, rng: np.random.Generator
) -> None:
    """Draw clusters of leaves: K balls (centres (K, 3), radii (K,)) each made of many small tufts."""
    tufts = 28
    outward = rng.normal(size=(len(centres), tufts, 3))
    outward /= np.linalg.norm(outward, axis=2, keepdims=True)
    places = centres[:, None] + outward * (radii[:, None, None] * rng.uniform(0.55, 1.05, (len(centres), tufts, 1)))
    sizes = radii[:, None] * rng.uniform(0.18, 0.4, (len(centres), tufts))
    tone = rng.normal(1.0, 0.13, (len(centres), tufts))
    middle = centres.mean(axis=0)
    depth = brush.depth(middle)
    if depth < 0.5:
        return
    near = 10 if brush.camera.focal * radii.mean() / depth < 9 else tufts
    places, sizes, tone = places[:, :near], sizes[:, :near] * math.sqrt(tufts / near), tone[:, :near]
    light = brush.light
    body = light.shade(albedo * 0.7, None, depth)
    brush.balls(centres, radii * 0.8, [body] * len(centres), TREE)
    places, sizes, tone = places.reshape(-1, 3), sizes.ravel(), tone.ravel()
    away = brush.camera.see(places)[:, 2]
    order = np.argsort(-away, kind="stable")
    # Tufts on the sunny side and on top of the whole crown are brighter.
    inward = (places - middle) / max(float(np.abs(places - middle).max()), 1e-6)
    gain = np.clip(0.95 + 0.4 * (inward @ light.sun) * (light.direct.max() > 0.3) + 0.28 * inward[:, 1], 0.3, 1.5)
    lit = albedo * (gain * tone)[:, None] * (light.ambient + 0.6 * light.direct)
    clear = math.exp(-max(depth, 0) / light.haze_distance)
    colours = np.clip(255 * (lit * clear + light.haze * (1 - clear)), 0, 255).astype(int)
    brush.balls(places[order], sizes[order], [tuple(c) for c in colours[order].tolist()], TREE)


def paint_branches(
    brush: Brush, base: np.ndarray, height: float, girth: float, colour: Colour, rng: np.random.Generator
) -> None:
    """Draw a tree in winter: a trunk that forks six times, into ever thinner branches."""
    feet, reach = base[None], np.array([[rng.normal(0, 0.03), 0.3, rng.normal(0, 0.03)]]) * height
    starts, ends, radii = [feet], [feet + reach], [np.array([girth])]
    for forks in (3, 3, 3, 2, 2, 2):
        feet = np.repeat(feet + reach, forks, axis=0)
        parent = np.repeat(reach, forks, axis=0)
        length = np.linalg.norm(parent, axis=1, keepdims=True)
        turn = rng.normal(0, 0.36, parent.shape)
        reach = (parent + length * turn) * rng.uniform(0.62, 0.82, length.shape)
        reach[:, 1] = np.maximum(reach[:, 1], 0.1 * length[:, 0] * rng.uniform(-1, 2, len(reach)))
        starts.append(feet)
        ends.append(feet + reach)
        radii.append(np.full(len(feet), radii[-1][0] * 0.6))
    brush.stroke(base, ends[0][0], (girth * 1.3, girth), colour, TREE)
    brush.twigs(np.concatenate(starts[1:]), np.concatenate(ends[1:]), np.concatenate(radii[1:]), colour, TREE)


def paint_hedge(brush: Brush, start: np.ndarray, end: np.ndarray, height: float, rng: np.random.Generator) -> None:
    """Draw a clipped hedge from `start` to `end` (3,)."""
    length = float(np.linalg.norm(end - start))
    steps = max(2, int(length / (0.6 * height)))
    share = (np.arange(steps) + 0.5)[:, None] / steps
    albedo = LEAVES[int(rng.integers(4))] * rng.uniform(0.7, 1.2)
    line = start + (end - start) * share
    low = line + UP * height * 0.4
    high = line + UP * height * 0.72
    radii = np.full(steps, height * 0.36)
    for first in range(steps - 1, -1, -4):
        part = slice(max(0, first - 3), first + 1)
        paint_leaves(brush, low[part], radii[part], albedo * 0.9, rng)
        paint_leaves(brush, high[part], radii[part] * 0.85, albedo, rng)
