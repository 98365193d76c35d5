"""Cars, vans and buses of the painted street scenes: a side profile drawn out across, so every view is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course_utils.classes import CLASS_NAMES
from data_scripts._scene_brush import UP, Brush, ring
from data_scripts._scene_camera import NEAR
from data_scripts._scene_light import Colour

CAR = CLASS_NAMES.index("Car")


@dataclass(frozen=True)
class Model:
    """A vehicle's shape; lengths in metres, positions along the vehicle from its middle, front positive.

    Attributes:
        profile: (position, height) of the outline's corners, from the rear bumper over the roof to the front bumper.
        parts: what the strip after each corner is: "rear", "glass", "roof", "bonnet" or "front".
        half_width: at the belt line.
        belt: height below which the sides are upright.
        axles: positions of the wheels.
        wheel: radius.
        panes: (rear bottom, front bottom, front top, rear top) positions of each side window, then its bottom and top.
    """

    profile: tuple[tuple[float, float], ...]
    parts: tuple[str, ...]
    half_width: float
    belt: float
    axles: tuple[float, float]
    wheel: float
    panes: tuple[tuple[float, float, float, float, float, float], ...]

    @property
    def half_length(self) -> float:
        """Half the vehicle's length."""
        return self.profile[-1][0]

    @property
    def height(self) -> float:
        """Height of the roof."""
        return max(y for _, y in self.profile)


MODELS = {
    "hatchback": Model(
        profile=(
            *((-1.9, 0.3), (-1.95, 0.65), (-1.85, 0.95), (-1.45, 1.42)),
            *((0.15, 1.46), (0.95, 0.98), (1.8, 0.8), (1.95, 0.58), (1.92, 0.3)),
        ),
        parts=("rear", "rear", "glass", "roof", "glass", "bonnet", "front", "front"),
        half_width=0.84,
        belt=0.94,
        axles=(-1.2, 1.25),
        wheel=0.31,
        panes=((-1.35, -0.45, -0.45, -1.2, 0.97, 1.36), (-0.37, 0.72, 0.1, -0.37, 0.97, 1.38)),
    ),
    "saloon": Model(
        profile=(
            *((-2.2, 0.3), (-2.25, 0.65), (-2.15, 0.96), (-1.65, 1.0), (-1.0, 1.4)),
            *((0.2, 1.43), (1.0, 0.98), (2.05, 0.8), (2.25, 0.56), (2.2, 0.3)),
        ),
        parts=("rear", "rear", "bonnet", "glass", "roof", "glass", "bonnet", "front", "front"),
        half_width=0.88,
        belt=0.94,
        axles=(-1.35, 1.4),
        wheel=0.32,
        panes=((-1.4, -0.42, -0.42, -0.9, 0.98, 1.34), (-0.34, 0.78, 0.15, -0.34, 0.98, 1.36)),
    ),
    "estate": Model(
        profile=(
            *((-2.25, 0.3), (-2.3, 0.7), (-2.25, 1.0), (-2.0, 1.45)),
            *((0.1, 1.5), (0.9, 1.02), (1.95, 0.85), (2.15, 0.58), (2.1, 0.3)),
        ),
        parts=("rear", "rear", "glass", "roof", "glass", "bonnet", "front", "front"),
        half_width=0.88,
        belt=0.98,
        axles=(-1.35, 1.35),
        wheel=0.33,
        panes=(
            (-2.0, -1.3, -1.3, -1.85, 1.02, 1.38),
            (-1.2, -0.35, -0.35, -1.2, 1.02, 1.4),
            (-0.27, 0.68, 0.05, -0.27, 1.02, 1.42),
        ),
    ),
    "van": Model(
        profile=(
            *((-2.5, 0.35), (-2.52, 1.1), (-2.45, 2.15), (1.2, 2.2)),
            *((1.85, 1.35), (2.4, 1.05), (2.52, 0.6), (2.48, 0.35)),
        ),
        parts=("rear", "rear", "roof", "glass", "bonnet", "front", "front"),
        half_width=0.97,
        belt=1.9,
        axles=(-1.55, 1.6),
        wheel=0.35,
        panes=((0.55, 1.7, 1.2, 0.55, 1.3, 1.9),),
    ),
    "bus": Model(
        profile=(
            *((-5.0, 0.4), (-5.05, 1.3), (-5.0, 2.6), (-4.9, 3.05)),
            *((4.8, 3.05), (4.95, 2.7), (5.05, 1.2), (5.0, 0.4)),
        ),
        parts=("rear", "glass", "rear", "roof", "front", "glass", "front"),
        half_width=1.25,
        belt=2.9,
        axles=(-2.8, 2.9),
        wheel=0.48,
        panes=tuple((x, x + 1.3, x + 1.3, x, 1.4, 2.5) for x in (-4.6, -3.2, -1.8, -0.4, 1.0, 2.4, 3.55)),
    ),
}

PAINTS = np.array(
    [
        (0.85, 0.85, 0.84),
        (0.62, 0.63, 0.65),
        (0.40, 0.41, 0.43),
        (0.10, 0.10, 0.11),
        (0.13, 0.18, 0.34),
        (0.50, 0.12, 0.11),
        (0.30, 0.42, 0.58),
        (0.14, 0.24, 0.18),
        (0.62, 0.55, 0.42),
        (0.48, 0.30, 0.24),
    ]
)
"""Body colours: white, silver, grey, black, blue, red, sky blue, racing green, sand, brick."""


class Vehicle:
    """One vehicle in the street: a model, a place, a direction and a colour.

    Args:
        base: the ground point under its middle, (3,).
        heading: direction its front points to, radians to the right of z.
    """

    def __init__(self, base: np.ndarray, heading: float, kind: str, rng: np.random.Generator) -> None:
        self.model = MODELS[kind]
        self.base = base
        self.forward = np.array([np.sin(heading), 0.0, np.cos(heading)])
        self.right = np.array([np.cos(heading), 0.0, -np.sin(heading)])
        self._axes = np.array([self.forward, UP, self.right])
        self.paint = PAINTS[int(rng.integers(len(PAINTS)))] * rng.uniform(0.85, 1.15)
        if kind == "bus":
            self.paint = np.array([(0.6, 0.12, 0.1), (0.75, 0.75, 0.72), (0.2, 0.4, 0.6)][int(rng.integers(3))])
        self.braking = rng.random() < 0.4

    def at(self, along: float, y: float, across: float) -> np.ndarray:
        """A point (3,) given along the vehicle, upwards and to its right."""
        return self.base + self.forward * along + UP * y + self.right * across

    def points(self, places: list[tuple[float, float, float]]) -> np.ndarray:
        """Points (N, 3) given along the vehicle, upwards and to its right."""
        return np.array(places) @ self._axes + self.base

    def half(self, y: float) -> float:
        """Half the width at height y: the cabin leans inwards."""
        model = self.model
        lean = 0.0 if model.height <= model.belt else max(0.0, y - model.belt) / (model.height - model.belt)
        return model.half_width - (0.17 if model.height < 2 else 0.06) * lean

    def corners(self) -> np.ndarray:
        """The eight corners (8, 3) of the box around it, for its shadow."""
        length, width = self.model.half_length * 0.95, self.model.half_width
        top = self.model.height
        return self.points([(a * length, y, b * width) for a in (-1, 1) for b in (-1, 1) for y in (0.1, top)])

    def draw(self, brush: Brush) -> None:
        """Draw it: wheels seen under the body, strips of the outline from far to near, then the side that shows."""
        depth = brush.depth(self.base)
        if depth < -self.model.half_length:
            return
        self._draw_underside(brush, depth)
        strips = []
        for i, part in enumerate(self.model.parts):
            (a0, y0), (a1, y1) = self.model.profile[i : i + 2]
            w0, w1 = self.half(y0), self.half(y1)
            quad = self.points([(a0, y0, -w0), (a0, y0, w0), (a1, y1, w1), (a1, y1, -w1)])
            normal = self.forward * (y0 - y1) + UP * (a1 - a0)
            normal = normal / np.linalg.norm(normal)
            if (brush.camera.eye - quad.mean(axis=0)) @ normal > 0:
                strips.append((brush.depth(quad.mean(axis=0)), part, quad, normal))
        for _, part, quad, normal in sorted(strips, key=lambda strip: -strip[0]):
            self._draw_strip(brush, part, quad, normal, depth)
        for side in (-1, 1):
            if (brush.camera.eye - self.at(0, 0.6, side * self.model.half_width)) @ (self.right * side) > 0:
                self._draw_side(brush, side, depth)
        self._draw_ends(brush, depth)

    def _draw_underside(self, brush: Brush, depth: float) -> None:
        black = brush.light.shade(np.full(3, 0.05), None, depth)
        length, width = self.model.half_length * 0.93, self.model.half_width * 0.9
        floor = self.model.profile[0][1] + 0.02
        for along in (-length, length):
            quad = [(along, y, b) for b, y in ((-width, 0.14), (width, 0.14), (width, floor), (-width, floor))]
            brush.face(self.points(quad), black, CAR)
        for axle in self.model.axles:
            for side in (-1, 1):
                inner, outer = side * (self.model.half_width - 0.22), side * (self.model.half_width - 0.02)
                for across in (inner, outer):
                    disc = ring(self.at(axle, self.model.wheel, across), self.forward, UP, self.model.wheel)
                    brush.face(disc, black, CAR)
                x = self.model.wheel * 0.8
                for along in (axle - x, axle + x):
                    corners = ((inner, 0.02), (outer, 0.02), (outer, 0.5), (inner, 0.5))
                    brush.face(self.points([(along, y, b) for b, y in corners]), black, CAR)

    def _draw_strip(self, brush: Brush, part: str, quad: np.ndarray, normal: np.ndarray, depth: float) -> None:
        light = brush.light
        body = light.shade(self.paint * (1.0 if part != "roof" else 1.05), normal, depth)
        brush.face(quad, body, CAR)
        middle = quad.mean(axis=0)
        if part == "glass":
            pane = middle + (quad - middle) * 0.86
            mirror = 0.12 + 0.45 * max(0.0, float(normal[1]))
            dark = np.array([0.10, 0.11, 0.12]) * light.ambient + mirror * light.horizon
            brush.face(pane, light.through_haze(dark, depth), CAR)
            gleam = np.stack(
                [
                    pane[0] * 0.6 + pane[1] * 0.4,
                    pane[0] * 0.35 + pane[1] * 0.65,
                    pane[2],
                    pane[2] * 0.75 + pane[3] * 0.25,
                ]
            )
            brush.face(gleam, light.through_haze(dark * 1.3 + 0.03, depth), CAR)
        if part == "bonnet":
            inner = middle + (quad - middle) * 0.8
            brush.face(inner, light.shade(self.paint * 1.07, normal, depth), CAR)

    def _draw_side(self, brush: Brush, side: int, depth: float) -> None:
        model, light = self.model, brush.light
        normal = self.right * side

        def patch(*places: tuple[float, float]) -> np.ndarray:
            return self.points([(a, y, side * (self.half(y) + 0.005)) for a, y in places])

        rear_end, front_end = model.profile[0][0], model.profile[-1][0]
        fill_outline(brush, patch(*model.profile), light.shade(self.paint, normal, depth))
        sill = patch((rear_end, 0.3), (front_end, 0.3), (front_end - 0.05, 0.42), (rear_end + 0.05, 0.42))
        brush.face(sill, light.shade(self.paint * 0.6, normal, depth), CAR)
        left, right, low = rear_end + 0.15, front_end - 0.35, model.belt * 0.8
        shine = patch((left, low + 0.05), (right, low), (right, low + 0.04), (left, low + 0.11))
        brush.face(shine, light.shade(self.paint * 1.2 + 0.03, normal, depth), CAR)
        dark = np.array([0.09, 0.10, 0.11]) * light.ambient + 0.12 * light.horizon
        for rear, front, front_top, rear_top, low, high in model.panes:
            pane = patch((rear, low), (front, low), (front_top, high), (rear_top, high))
            brush.face(pane, light.through_haze(dark, depth), CAR)
            a, b, c, d = pane
            glint = np.array([a * 0.5 + b * 0.5, a * 0.1 + b * 0.9, c * 0.9 + d * 0.1, c * 0.5 + d * 0.5])
            brush.face(glint, light.through_haze(dark * 1.25 + 0.04, depth), CAR)
        black, hub = light.shade(np.full(3, 0.04), normal, depth), light.shade(np.full(3, 0.5), normal, depth)
        tyre = light.shade(np.full(3, 0.10), normal, depth)
        for axle in model.axles:
            centre = self.at(axle, model.wheel, side * (model.half_width + 0.01))
            brush.face(ring(centre + UP * 0.03, self.forward, UP, model.wheel * 1.22), black, CAR)
            brush.face(ring(centre, self.forward, UP, model.wheel), tyre, CAR)
            brush.face(ring(centre, self.forward, UP, model.wheel * 0.62), hub, CAR)
            brush.face(ring(centre, self.forward, UP, model.wheel * 0.2), tyre, CAR)
        seam = light.shade(self.paint * 0.55, normal, depth)
        for along in (model.panes[-1][1] - 0.05, (model.panes[-1][0] + model.panes[0][1]) / 2):
            if model.height < 2:
                brush.line(patch((along, 0.42), (along, model.belt)), 0.015, seam, CAR)
        mirror = self.at(model.panes[-1][1] - 0.1, model.panes[-1][4] + 0.06, side * (model.half_width + 0.09))
        brush.ball(mirror, 0.09, light.shade(self.paint * 0.7, normal, depth), CAR)

    def _draw_ends(self, brush: Brush, depth: float) -> None:
        for end, name in ((-1, "rear"), (1, "front")):
            along = end * (self.model.half_length + 0.02)
            if (brush.camera.eye - self.at(along, 0.6, 0)) @ (self.forward * end) > 0.4:
                self._draw_end(brush, along, name, self.forward * end, depth)

    def _draw_end(self, brush: Brush, along: float, name: str, normal: np.ndarray, depth: float) -> None:
        light, width = brush.light, self.model.half_width
        tall = self.model.height > 2

        def panel(left: float, right: float, low: float, high: float, colour: Colour) -> None:
            corners = ((left, low), (right, low), (right, high), (left, high))
            brush.face(self.points([(along, y, b) for b, y in corners]), colour, CAR)

        dark = light.shade(np.full(3, 0.09), normal, depth)
        bumper = light.shade(self.paint * 0.72, normal, depth)
        panel(-width * 0.98, width * 0.98, 0.32, 0.5, bumper)
        low, high = (0.8, 1.15) if tall else (0.64, 0.86)
        if name == "rear":
            glow = np.array([1.0, 0.12, 0.08]) if self.braking or light.dusk else np.array([0.55, 0.06, 0.06])
            lamp = light.through_haze(glow * (1.0 if self.braking or light.dusk else light.ambient), depth)
            plate = light.shade(np.array([0.85, 0.72, 0.25]), normal, depth)
        else:
            high = 0.78 if not tall else 1.0
            low = high - 0.18
            glow = np.array([1.0, 0.97, 0.85]) if light.dusk else np.array([0.8, 0.82, 0.84]) * light.ambient * 1.1
            lamp = light.through_haze(glow, depth)
            plate = light.shade(np.array([0.88, 0.88, 0.86]), normal, depth)
            panel(-width * 0.45, width * 0.45, 0.52, 0.72, dark)
        for side in (-1, 1):
            inner = width * (0.72 if name == "rear" else 0.6)
            left, right = sorted((side * inner, side * width * 0.97))
            panel(left, right, low, high, lamp)
        panel(-0.27, 0.27, 0.5, 0.62, plate)
        if name == "rear" and tall:
            panel(-0.02, 0.02, 0.6, self.model.height - 0.2, light.shade(self.paint * 0.5, normal, depth))


def fill_outline(brush: Brush, points: np.ndarray, colour: Colour) -> None:
    """Fill a polygon (N, 3) that need not be convex; left out if any of it is behind the camera."""
    seen = brush.camera.see(points).tolist()
    if min(corner[2] for corner in seen) > NEAR:
        flat = brush.camera.flat_list(seen)
        if flat is not None:
            brush.flat(flat, colour, CAR)
