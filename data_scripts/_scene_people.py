"""Pedestrians and bicyclists of the painted street scenes: jointed figures with arms, legs and bags.

A bag has the code of the person who carries it (Pedestrian or Bicyclist), as in CamVid.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from course_utils.classes import CLASS_NAMES, VOID
from data_scripts._scene_brush import UP, Brush, ring

PEDESTRIAN, BICYCLIST = CLASS_NAMES.index("Pedestrian"), CLASS_NAMES.index("Bicyclist")

SKIN = np.array([(0.84, 0.64, 0.53), (0.72, 0.52, 0.40), (0.50, 0.34, 0.25), (0.33, 0.22, 0.17)])
HAIR = np.array([(0.10, 0.08, 0.07), (0.25, 0.17, 0.11), (0.50, 0.38, 0.22), (0.55, 0.55, 0.54)])


def clothing(rng: np.random.Generator) -> np.ndarray:
    """A colour of clothes: mostly dark or grey, at times bright."""
    if rng.random() < 0.6:
        return np.full(3, rng.uniform(0.08, 0.5)) * rng.normal(1, 0.08, 3)
    return rng.uniform(0.08, 0.8, 3)


class Figure:
    """A person's own axes: points are given forward, up and to the right, in metres of a 1.75 m tall adult."""

    def __init__(self, brush: Brush, base: np.ndarray, heading: float, size: float, label: int) -> None:
        self.brush, self.base, self.size, self.label = brush, base, size, label
        self.forward = np.array([math.sin(heading), 0.0, math.cos(heading)])
        self.right = np.array([math.cos(heading), 0.0, -math.sin(heading)])
        self.depth = brush.depth(base)
        self._parts: list[tuple[float, Callable[[], None]]] = []

    def at(self, forward: float, up: float, right: float) -> np.ndarray:
        """A point (3,) in the street."""
        return self.base + self.size * (self.forward * forward + UP * up + self.right * right)

    def shade(self, albedo: np.ndarray):
        """The colour of a round thing at this depth."""
        return self.brush.light.shade(albedo, None, self.depth)

    def add(self, nearer_by: float, middle: np.ndarray, draw: Callable[[], None]) -> None:
        """Note a part to draw; parts are drawn from far to near, `nearer_by` metres before their middle's place."""
        self._parts.append((self.brush.depth(middle) - nearer_by * self.size, draw))

    def limb(self, a: np.ndarray, b: np.ndarray, radius: float | tuple[float, float], albedo: np.ndarray) -> None:
        """Note an arm or a leg, or a piece of one."""
        radii = radius if isinstance(radius, tuple) else (radius, radius)
        scaled = (radii[0] * self.size, radii[1] * self.size)
        colour = self.shade(albedo)
        self.add(0.0, (a + b) / 2, lambda: self.brush.stroke(a, b, scaled, colour, self.label, 1.2))

    def draw(self) -> None:
        """Draw all parts."""
        for _, draw in sorted(self._parts, key=lambda part: -part[0]):
            draw()

    def torso(self, levels: list[tuple[float, float, float, float]], albedo: np.ndarray) -> None:
        """Note a trunk given by levels (forward, up, half width, half thickness), as broad as it looks from here."""
        view = self.base - self.brush.camera.eye
        view = view / max(float(np.hypot(view[0], view[2])), 1e-6)
        sideways = np.array([view[2], 0.0, -view[0]])
        left, right = [], []
        for forward, up, width, thickness in levels:
            reach = self.size * math.hypot(
                width * float(self.right @ sideways), thickness * float(self.forward @ sideways)
            )
            left.append(self.at(forward, up, 0) - sideways * reach)
            right.append(self.at(forward, up, 0) + sideways * reach)
        outline = np.array(left + right[::-1])
        bright = self.brush.light.shade(albedo * 1.08, None, self.depth)
        dim = self.brush.light.shade(albedo * 0.86, None, self.depth)
        sunny_right = float(sideways @ self.brush.light.sun) > 0
        middle = [(a + b) / 2 for a, b in zip(left, right, strict=True)]

        def draw() -> None:
            self.brush.face(outline, bright if sunny_right else dim, self.label)
            half = np.array(left + middle[::-1])
            self.brush.face(half, dim if sunny_right else bright, self.label)

        self.add(0.0, outline.mean(axis=0), draw)

    def head(self, forward: float, up: float, skin: np.ndarray, hair: np.ndarray, long_hair: bool) -> None:
        """Note neck, hair and face; the face shows only from the front."""
        self.limb(self.at(forward, up - 0.2, 0), self.at(forward, up, 0), 0.055, skin)
        middle, size, brush = self.at(forward, up, 0), self.size, self.brush
        face, crown = self.at(forward + 0.05, up - 0.02, 0), self.at(forward - 0.02, up + 0.03, 0)
        skin_colour, hair_colour = self.shade(skin), self.shade(hair)

        def draw() -> None:
            if long_hair:
                brush.stroke(crown, self.at(forward - 0.06, up - 0.2, 0), 0.1 * size, hair_colour, self.label)
            brush.ball(crown, 0.118 * size, hair_colour, self.label)
            if (brush.camera.eye - middle) @ self.forward > -0.3 * self.depth:
                brush.ball(face, 0.092 * size, skin_colour, self.label)

        self.add(0.12, middle, draw)


def paint_pedestrian(brush: Brush, base: np.ndarray, heading: float, rng: np.random.Generator) -> None:
    """Draw someone walking or standing at `base` (3,), with arms, legs, and often a bag."""
    child = rng.random() < 0.12
    figure = Figure(brush, base, heading, rng.uniform(0.62, 0.75) if child else rng.uniform(0.9, 1.08), PEDESTRIAN)
    skin, hair = SKIN[int(rng.integers(4))], HAIR[int(rng.integers(4))]
    coat, trousers, shoes = clothing(rng), clothing(rng) * 0.8, np.full(3, 0.08)
    stride = rng.choice([0.0, 0.22, 0.34], p=[0.25, 0.4, 0.35]) * rng.choice([-1, 1])
    dress = rng.choice(["trousers", "skirt", "long coat"], p=[0.65, 0.15, 0.2])
    for side in (-1, 1):
        step = stride * side
        knee, foot = figure.at(step * 0.55 + 0.04, 0.48, side * 0.1), figure.at(step, 0.06, side * 0.1)
        leg = skin * 0.9 if dress == "skirt" else trousers
        figure.limb(figure.at(0, 0.9, side * 0.09), knee, (0.095, 0.07), trousers if dress != "skirt" else coat * 0.9)
        figure.limb(knee, foot, (0.07, 0.048), leg)
        figure.limb(foot, figure.at(step + 0.13, 0.035, side * 0.11), 0.042, shoes)
    levels = [(0.0, 1.46, 0.12, 0.08), (0.0, 1.4, 0.21, 0.11), (0.0, 1.08, 0.16, 0.11), (0.0, 0.86, 0.18, 0.12)]
    if dress == "long coat":
        levels.append((0.0, 0.55, 0.2, 0.15))
    elif dress == "skirt":
        levels += [(0.0, 0.6, 0.21, 0.17)]
    figure.torso(levels, coat)
    hands = []
    bend = rng.choice([0.05, 0.12, 0.3], size=2)
    for side, lift in zip((-1, 1), bend, strict=True):
        swing = -stride * side * 0.9
        elbow = figure.at(swing * 0.35 - 0.03, 1.12, side * 0.26)
        hand = figure.at(swing * 0.9 + lift * 0.6, 0.86 + lift * 0.8, side * (0.27 - 0.15 * lift))
        figure.limb(figure.at(0, 1.39, side * 0.2), elbow, (0.062, 0.052), coat * 0.93)
        figure.limb(elbow, hand, (0.052, 0.038), coat * 0.93)
        figure.limb(hand, hand - UP * 0.06 * figure.size, 0.042, skin)
        hands.append(hand)
    figure.head(0.01, 1.63, skin, hair, long_hair=bool(rng.random() < 0.4))
    kind = rng.choice(["none", "shopping", "handbag", "backpack", "two bags"], p=[0.3, 0.26, 0.16, 0.18, 0.1])
    colour = rng.uniform(0.1, 0.85, 3) if rng.random() < 0.6 else np.full(3, rng.choice([0.1, 0.8]))
    if kind in ("shopping", "two bags"):
        carry_bag(figure, hands[0], 0.19, 0.34, colour)
    if kind == "two bags":
        carry_bag(figure, hands[1], 0.16, 0.3, np.full(3, 0.78))
    if kind == "handbag":
        hip = figure.at(0.02, 0.98, 0.27)
        figure.limb(figure.at(0, 1.42, -0.12), hip, 0.014, colour * 0.7)
        carry_bag(figure, hip + UP * 0.06 * figure.size, 0.15, 0.2, colour)
    if kind == "backpack":
        figure.limb(figure.at(-0.2, 1.33, 0), figure.at(-0.2, 1.05, 0), (0.13, 0.15), colour)
        for side in (-1, 1):
            figure.limb(figure.at(0.09, 1.4, side * 0.12), figure.at(0.1, 1.12, side * 0.14), 0.022, colour * 0.7)
    figure.draw()


def carry_bag(figure: Figure, hand: np.ndarray, half_width: float, height: float, albedo: np.ndarray) -> None:
    """Note a bag that hangs from a point (3,), seen from its broad side, with two handles."""
    brush, size = figure.brush, figure.size
    view = hand - brush.camera.eye
    sideways = np.array([view[2], 0.0, -view[0]]) / max(float(np.hypot(view[0], view[2])), 1e-6)
    turned = 0.45 + 0.55 * abs(float(figure.forward @ sideways))
    wide = sideways * half_width * size * turned
    top, bottom = hand - UP * 0.16 * size, hand - UP * (0.16 + height) * size
    body = np.array([top - wide * 0.85, top + wide * 0.85, bottom + wide, bottom - wide])
    band = np.array([body[0] * 0.6 + body[3] * 0.4, body[1] * 0.6 + body[2] * 0.4, body[1] * 0.4 + body[2] * 0.6, body[0] * 0.4 + body[3] * 0.6])  # fmt: skip # noqa: E501
    colours = [figure.shade(albedo * f) for f in (1.0, 0.75, 0.6)]

    def draw() -> None:
        for edge in (-0.45, 0.45):
            brush.stroke(hand - UP * 0.03 * size, top + wide * edge, 0.013 * size, colours[2], figure.label)
        brush.face(body, colours[0], figure.label)
        brush.face(band, colours[1], figure.label)

    figure.add(0.1, hand, draw)


def paint_bicycle(figure: Figure, albedo: np.ndarray) -> None:
    """Note a bicycle's wheels, frame, handlebar and saddle."""
    brush, label, size = figure.brush, figure.label, figure.size
    tyre, spoke = figure.shade(np.full(3, 0.07)), figure.shade(np.full(3, 0.5))
    for along in (-0.52, 0.53):
        hub = figure.at(along, 0.34, 0)
        rim = ring(hub, figure.forward, UP, 0.33 * size, 20)
        closed = np.concatenate([rim, rim[:1]])

        def wheel(closed: np.ndarray = closed, rim: np.ndarray = rim, hub: np.ndarray = hub) -> None:
            for point in rim[::2]:
                brush.line(np.array([hub, point]), 0.01, spoke, label)
            brush.line(closed, 0.055, tyre, label)
            brush.stroke(rim[5] - UP * 0.02, rim[15] + UP * 0.02, 0.025 * size, tyre, label)

        figure.add(0.0, hub, wheel)
    rear, front, pedals = figure.at(-0.52, 0.34, 0), figure.at(0.53, 0.34, 0), figure.at(-0.08, 0.3, 0)
    seat, head = figure.at(-0.24, 0.86, 0), figure.at(0.36, 0.84, 0)
    for a, b in ((rear, pedals), (rear, seat), (pedals, seat), (pedals, head), (seat, head), (head, front)):
        figure.limb(a, b, 0.024, albedo)
    bar = figure.at(0.4, 1.0, 0)
    figure.limb(head, bar, 0.022, np.full(3, 0.2))
    figure.limb(figure.at(0.42, 1.0, -0.27), figure.at(0.42, 1.0, 0.27), 0.02, np.full(3, 0.12))
    figure.limb(figure.at(-0.36, 0.93, 0), figure.at(-0.14, 0.92, 0), (0.07, 0.035), np.full(3, 0.08))


def paint_bicyclist(brush: Brush, base: np.ndarray, heading: float, rng: np.random.Generator) -> None:
    """Draw a bicycle and its rider, hands on the handlebar, at times with a rucksack."""
    figure = Figure(brush, base, heading, rng.uniform(0.93, 1.06), BICYCLIST)
    skin, hair = SKIN[int(rng.integers(4))], HAIR[int(rng.integers(4))]
    bright = rng.random() < 0.35
    coat = np.array([(0.8, 0.85, 0.15), (0.9, 0.45, 0.1)][int(rng.integers(2))]) if bright else clothing(rng)
    trousers = clothing(rng) * 0.7
    paint_bicycle(figure, rng.uniform(0.1, 0.7, 3))
    turn = rng.uniform(0, 2 * math.pi)
    for side, phase in ((-1, turn), (1, turn + math.pi)):
        pedal = figure.at(-0.08 + 0.17 * math.cos(phase), 0.3 + 0.17 * math.sin(phase), side * 0.12)
        hip = figure.at(-0.2, 0.95, side * 0.09)
        knee = (hip + pedal) / 2 + figure.size * (figure.forward * 0.2 + UP * 0.08)
        figure.limb(hip, knee, (0.095, 0.07), trousers)
        figure.limb(knee, pedal, (0.068, 0.05), trousers)
        figure.limb(pedal, pedal + figure.forward * 0.14 * figure.size, 0.045, np.full(3, 0.08))
        shoulder, hand = figure.at(0.14, 1.4, side * 0.19), figure.at(0.42, 1.03, side * 0.25)
        elbow = (shoulder + hand) / 2 + figure.size * (-UP * 0.07 + figure.right * side * 0.05)
        figure.limb(shoulder, elbow, (0.06, 0.05), coat * 0.93)
        figure.limb(elbow, hand, (0.05, 0.04), coat * 0.93)
        figure.limb(hand, hand + figure.forward * 0.03, 0.042, skin)
    figure.torso(
        [(0.17, 1.48, 0.12, 0.08), (0.13, 1.4, 0.21, 0.12), (-0.05, 1.15, 0.17, 0.12), (-0.22, 0.92, 0.18, 0.14)], coat
    )
    figure.head(0.26, 1.64, skin, hair, long_hair=False)
    if rng.random() < 0.6:
        helmet = figure.shade(rng.uniform(0.1, 0.85, 3))
        middle = figure.at(0.25, 1.7, 0)
        figure.add(0.25, middle, lambda: brush.stroke(
            figure.at(0.18, 1.72, 0), figure.at(0.31, 1.72, 0), 0.085 * figure.size, helmet, BICYCLIST))  # fmt: skip
    if rng.random() < 0.35:
        figure.limb(figure.at(-0.1, 1.36, 0), figure.at(-0.2, 1.12, 0), (0.13, 0.15), rng.uniform(0.1, 0.6, 3))
    figure.draw()


def paint_parked_bicycle(brush: Brush, base: np.ndarray, heading: float, rng: np.random.Generator) -> None:
    """Draw a bicycle without a rider, which CamVid leaves unlabelled."""
    figure = Figure(brush, base, heading, 1.0, VOID)
    paint_bicycle(figure, rng.uniform(0.1, 0.7, 3))
    figure.draw()
