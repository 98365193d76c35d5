"""The brush of the painted street scenes: draws shapes given in metres into the picture and the mask at once."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from data_scripts._scene_camera import NEAR, Camera
from data_scripts._scene_light import Colour, Light

UP = np.array([0.0, 1.0, 0.0])


class Brush:
    """Two canvases of the same size, colours and class codes, and the camera and light to draw them with.

    Every drawing method takes a colour (None: only the mask) and a class code (None: only the picture).
    """

    def __init__(self, camera: Camera, light: Light) -> None:
        self.camera, self.light = camera, light
        self.picture = Image.new("RGB", (camera.width, camera.height))
        self.labels = Image.new("L", (camera.width, camera.height))
        self.restart()

    def restart(self) -> None:
        """Draw on the present `picture` and `labels`, after one of them was replaced."""
        self._paint = ImageDraw.Draw(self.picture)
        self._code = ImageDraw.Draw(self.labels)

    def depth(self, point: np.ndarray) -> float:
        """How many metres in front of the camera's plane a point (3,) lies."""
        return float(self.camera.see(point)[2])

    def pixels_per_metre(self, point: np.ndarray) -> float:
        """How many canvas pixels a metre at this point (3,) covers, 0 behind the camera."""
        depth = self.depth(point)
        return self.camera.focal / depth if depth > NEAR else 0.0

    def flat(self, outline: np.ndarray, colour: Colour | None, label: int | None) -> None:
        """Fill a polygon given in pixels, shape (N, 2)."""
        xy = np.clip(outline, -20000, 20000).ravel().tolist()
        if colour is not None:
            self._paint.polygon(xy, fill=colour)
        if label is not None:
            self._code.polygon(xy, fill=label)

    def face(self, points: np.ndarray, colour: Colour | None, label: int | None = None) -> None:
        """Fill a convex polygon in space, shape (N, 3)."""
        outline = self.camera.outline(points)
        if outline is not None:
            self.flat(outline, colour, label)

    def faces(self, polygons: np.ndarray, colours: list[Colour], label: int | None = None) -> None:
        """Fill K convex polygons of N corners each, shape (K, N, 3), in the order given."""
        if not len(polygons):
            return
        seen = self.camera.see(polygons)
        near = seen[..., 2].min(axis=1) >= NEAR
        flat = self.camera.flatten(np.where(near[:, None, None], seen, 1.0))
        low, high = flat.min(axis=1), flat.max(axis=1)
        size = np.array([self.camera.width, self.camera.height])
        visible = near & (high >= 0).all(axis=1) & (low < size).all(axis=1)
        rows = flat.reshape(len(flat), -1).tolist()
        for i in range(len(polygons)):
            if visible[i]:
                self._paint.polygon(rows[i], fill=colours[i])
                if label is not None:
                    self._code.polygon(rows[i], fill=label)
            elif not near[i]:
                self.face(polygons[i], colours[i], label)

    def stroke(
        self,
        start: np.ndarray,
        end: np.ndarray,
        radius: float | tuple[float, float],
        colour: Colour | None,
        label: int | None = None,
        thinnest: float = 0.0,
    ) -> None:
        """Draw a rod with round ends; `radius` in metres, one or one at each end; at least `thinnest` pixels wide."""
        seen = self.camera.see(np.stack([start, end]))
        if seen[:, 2].min() < NEAR:
            return
        (x0, y0), (x1, y1) = self.camera.flatten(seen).tolist()
        radii = radius if isinstance(radius, tuple) else (radius, radius)
        r0 = max(radii[0] * self.camera.focal / seen[0, 2], thinnest / 2)
        r1 = max(radii[1] * self.camera.focal / seen[1, 2], thinnest / 2)
        length = math.hypot(x1 - x0, y1 - y0)
        if max(r0, r1) < 0.8:
            self._line([x0, y0, x1, y1], 1, colour, label)
            return
        if length > 1e-6:
            ox, oy = (y0 - y1) / length, (x1 - x0) / length
            quad = [
                (x0 + ox * r0, y0 + oy * r0),
                (x1 + ox * r1, y1 + oy * r1),
                (x1 - ox * r1, y1 - oy * r1),
                (x0 - ox * r0, y0 - oy * r0),
            ]
            self.flat(np.array(quad), colour, label)
        self._dot(x0, y0, r0, colour, label)
        self._dot(x1, y1, r1, colour, label)

    def line(self, points: np.ndarray, width: float, colour: Colour | None, label: int | None = None) -> None:
        """Draw a chain of straight lines through points (N, 3), `width` metres thick at its middle, 1 pixel at least."""
        seen = self.camera.see(points)
        if seen[:, 2].min() < NEAR:
            return
        pixels = max(1, round(width * self.camera.focal / float(np.median(seen[:, 2]))))
        self._line(self.camera.flatten(seen).ravel().tolist(), pixels, colour, label)

    def ball(self, centre: np.ndarray, radius: float, colour: Colour | None, label: int | None = None) -> None:
        """Draw a ball, as the circle it nearly projects to."""
        seen = self.camera.see(centre)
        if seen[2] >= NEAR:
            x, y = self.camera.flatten(seen).tolist()
            self._dot(x, y, radius * self.camera.focal / float(seen[2]), colour, label)

    def balls(self, centres: np.ndarray, radii: np.ndarray, colours: list[Colour], label: int | None) -> None:
        """Draw K balls, centres (K, 3) and radii (K,), in the order given."""
        seen = self.camera.see(centres)
        near = seen[:, 2] >= NEAR
        flat = self.camera.flatten(np.where(near[:, None], seen, 1.0))
        sizes = radii * self.camera.focal / np.where(near, seen[:, 2], 1.0)
        for (x, y), size, colour, shown in zip(flat.tolist(), sizes.tolist(), colours, near.tolist(), strict=True):
            if shown:
                self._dot(x, y, size, colour, label)

    def _line(self, xy: list[float], width: int, colour: Colour | None, label: int | None) -> None:
        if colour is not None:
            self._paint.line(xy, fill=colour, width=width)
        if label is not None:
            self._code.line(xy, fill=label, width=width)

    def _dot(self, x: float, y: float, radius: float, colour: Colour | None, label: int | None) -> None:
        if not (-radius <= x <= self.camera.width + radius and -radius <= y <= self.camera.height + radius):
            return
        box = [x - radius, y - radius, x + radius, y + radius]
        if colour is not None:
            self._paint.ellipse(box, fill=colour)
        if label is not None:
            self._code.ellipse(box, fill=label)


def ring(centre: np.ndarray, axis_a: np.ndarray, axis_b: np.ndarray, radius: float, corners: int = 16) -> np.ndarray:
    """Points (corners, 3) on the circle around `centre` in the plane of two unit vectors."""
    turn = np.arange(corners) * (2 * math.pi / corners)
    return centre + radius * (np.cos(turn)[:, None] * axis_a + np.sin(turn)[:, None] * axis_b)


def box(
    brush: Brush,
    centre: np.ndarray,
    forward: np.ndarray,
    size: tuple[float, float, float],
    albedo: np.ndarray,
    label: int,
) -> None:
    """Draw a block that stands on the point `centre`; `size` is its length along `forward`, height and width."""
    across = np.array([forward[2], 0.0, -forward[0]])
    length, height, width = size
    depth = brush.depth(centre)
    sides = [(forward, across, length, width), (across, forward, width, length)]
    for axis, other, reach, breadth in sides:
        for sign in (-1, 1):
            middle = centre + axis * (sign * reach / 2)
            if (brush.camera.eye - middle) @ (axis * sign) > 0:
                a, b = middle - other * (breadth / 2), middle + other * (breadth / 2)
                quad = np.stack([a, b, b + UP * height, a + UP * height])
                brush.face(quad, brush.light.shade(albedo, axis * sign, depth), label)
    if brush.camera.eye[1] > height + centre[1]:
        corners = [centre + forward * (i * length / 2) + across * (j * width / 2) for i, j in _CORNERS]
        brush.face(np.stack(corners) + UP * height, brush.light.shade(albedo, UP, depth), label)


_CORNERS = ((-1, -1), (-1, 1), (1, 1), (1, -1))
