"""The brush of the painted street scenes: draws shapes given in metres into the picture and the mask at once."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from data_scripts._scene_camera import NEAR, Camera
from data_scripts._scene_light import Colour, Light

UP = np.array([0.0, 1.0, 0.0])


class Brush:
    """A canvas whose fourth channel is the mask, and the camera and light to draw with.

    One call so draws the colour and the class code, and no border of the two can differ.
    """

    def __init__(self, camera: Camera, light: Light) -> None:
        self.camera, self.light = camera, light
        self.load(np.zeros((camera.height, camera.width, 4), dtype=np.uint8))

    def load(self, canvas: np.ndarray) -> None:
        """Go on with this canvas: uint8 (height, width, 4), red, green, blue and class code."""
        self.canvas = Image.fromarray(canvas)
        self._draw = ImageDraw.Draw(self.canvas)

    def depth(self, point: np.ndarray) -> float:
        """How many metres in front of the camera's plane a point (3,) lies."""
        return self.camera.depth(point)

    def flat(self, outline: list[float], colour: Colour, label: int) -> None:
        """Fill a polygon given in pixels, x0, y0, x1, y1…"""
        self._draw.polygon(outline, fill=(*colour, label))

    def face(self, points: np.ndarray, colour: Colour, label: int) -> None:
        """Fill a convex polygon in space, shape (N, 3)."""
        outline = self.camera.outline(points)
        if outline is not None:
            self._draw.polygon(outline, fill=(*colour, label))

    def faces(self, polygons: np.ndarray, colours: list[Colour], label: int) -> None:
        """Fill K convex polygons of N corners each, shape (K, N, 3), in the order given."""
        if not len(polygons):
            return
        camera, draw = self.camera, self._draw
        seen = camera.see(polygons)
        near = seen[..., 2].min(axis=1) >= NEAR
        flat = camera.flatten(np.where(near[:, None, None], seen, 1.0))
        low, high = flat.min(axis=1), flat.max(axis=1)
        inside = (high >= 0).all(axis=1) & (low < (camera.width, camera.height)).all(axis=1)
        rows = flat.reshape(len(flat), -1).tolist()
        for i, (before, shown) in enumerate(zip(near.tolist(), inside.tolist(), strict=True)):
            if not before:
                self.face(polygons[i], colours[i], label)
            elif shown:
                draw.polygon(rows[i], fill=(*colours[i], label))

    def claim(self, points: np.ndarray, label: int) -> None:
        """Give a convex polygon in space, shape (N, 3), a class code and leave its colours as they are."""
        outline = self.camera.outline(points)
        if outline is None:
            return
        xs, ys = outline[0::2], outline[1::2]
        left, top = max(0, math.floor(min(xs))), max(0, math.floor(min(ys)))
        right, bottom = min(self.camera.width, math.ceil(max(xs)) + 1), min(self.camera.height, math.ceil(max(ys)) + 1)
        piece = self.canvas.crop((left, top, right, bottom))
        codes = piece.getchannel(3)
        corners = [(x - left, y - top) for x, y in zip(xs, ys, strict=True)]
        ImageDraw.Draw(codes).polygon(corners, fill=label)
        piece.putalpha(codes)
        self.canvas.paste(piece, (left, top))

    def stroke(
        self,
        start: np.ndarray,
        end: np.ndarray,
        radius: float | tuple[float, float],
        colour: Colour,
        label: int,
        thinnest: float = 0.0,
    ) -> None:
        """Draw a rod with round ends; `radius` in metres, one or one at each end; at least `thinnest` pixels wide."""
        camera = self.camera
        (ax, ay, az), (bx, by, bz) = camera.see(np.array((start, end))).tolist()
        if az < NEAR or bz < NEAR:
            return
        cx, cy = camera.centre.tolist()
        fa, fb = camera.focal / az, camera.focal / bz
        x0, y0, x1, y1 = ax * fa + cx, ay * fa + cy, bx * fb + cx, by * fb + cy
        radii = radius if isinstance(radius, tuple) else (radius, radius)
        r0, r1 = max(radii[0] * fa, thinnest / 2), max(radii[1] * fb, thinnest / 2)
        ink, length = (*colour, label), math.hypot(x1 - x0, y1 - y0)
        if max(r0, r1) < 0.8:
            self._draw.line([x0, y0, x1, y1], fill=ink, width=1)
            return
        if length > 1e-6:
            ox, oy = (y0 - y1) / length, (x1 - x0) / length
            self._draw.polygon(
                [
                    *(x0 + ox * r0, y0 + oy * r0, x1 + ox * r1, y1 + oy * r1),
                    *(x1 - ox * r1, y1 - oy * r1, x0 - ox * r0, y0 - oy * r0),
                ],
                fill=ink,
            )
        self._dot(x0, y0, r0, ink)
        self._dot(x1, y1, r1, ink)

    def twigs(self, starts: np.ndarray, ends: np.ndarray, radii: np.ndarray, colour: Colour, label: int) -> None:
        """Draw K thin rods, starts and ends (K, 3), radii (K,) in metres, without round ends."""
        seen = self.camera.see(np.stack([starts, ends], axis=1))
        near = seen[..., 2].min(axis=1) >= NEAR
        seen, radii = seen[near], radii[near]
        flat = self.camera.flatten(seen).reshape(-1, 4).tolist()
        widths = (
            np.maximum(1, np.round(2 * radii * self.camera.focal / seen[:, :, 2].mean(axis=1))).astype(int).tolist()
        )
        for row, width in zip(flat, widths, strict=True):
            self._draw.line(row, fill=(*colour, label), width=width)

    def line(self, points: np.ndarray, width: float, colour: Colour, label: int) -> None:
        """Draw a chain of lines through points (N, 3), `width` metres thick at its middle, 1 pixel at least."""
        seen = self.camera.see(points)
        depths = seen[:, 2].tolist()
        if min(depths) < NEAR:
            return
        pixels = max(1, round(width * self.camera.focal / depths[len(depths) // 2]))
        self._draw.line(self.camera.flatten(seen).ravel().tolist(), fill=(*colour, label), width=pixels)

    def ball(self, centre: np.ndarray, radius: float, colour: Colour, label: int) -> None:
        """Draw a ball, as the circle it nearly projects to."""
        seen = self.camera.see(centre)
        if seen[2] >= NEAR:
            x, y = self.camera.flatten(seen).tolist()
            self._dot(x, y, radius * self.camera.focal / float(seen[2]), (*colour, label))

    def balls(self, centres: np.ndarray, radii: np.ndarray, colours: list[Colour], label: int) -> None:
        """Draw K balls, centres (K, 3) and radii (K,), in the order given."""
        seen = self.camera.see(centres)
        depth = np.maximum(seen[:, 2], NEAR)
        size = radii * self.camera.focal / depth
        x, y = (seen[:, :2] * (self.camera.focal / depth)[:, None] + self.camera.centre).T
        shown = (x > -size) & (x < self.camera.width + size) & (y > -size) & (y < self.camera.height + size)
        shown &= seen[:, 2] >= NEAR
        boxes = np.stack([x - size, y - size, x + size, y + size], axis=1).tolist()
        for i in np.flatnonzero(shown).tolist():
            self._draw.ellipse(boxes[i], fill=(*colours[i], label))

    def _dot(self, x: float, y: float, radius: float, ink: tuple[int, int, int, int]) -> None:
        if -radius <= x <= self.camera.width + radius and -radius <= y <= self.camera.height + radius:
            self._draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=ink)


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
    for axis, other, reach, breadth in ((forward, across, length, width), (across, forward, width, length)):
        for sign in (-1, 1):
            middle = centre + axis * (sign * reach / 2)
            if (brush.camera.eye - middle) @ (axis * sign) > 0:
                a, b = middle - other * (breadth / 2), middle + other * (breadth / 2)
                quad = np.array((a, b, b + UP * height, a + UP * height))
                brush.face(quad, brush.light.shade(albedo, axis * sign, depth), label)
    if brush.camera.eye[1] > height + centre[1]:
        signs = ((-1, -1), (-1, 1), (1, 1), (1, -1))
        corners = [centre + forward * (i * length / 2) + across * (j * width / 2) for i, j in signs]
        brush.face(np.array(corners) + UP * height, brush.light.shade(albedo, UP, depth), label)
