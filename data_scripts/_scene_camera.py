"""The pin-hole camera of the painted street scenes: metres in the street become pixels on the canvas.

Street coordinates: x to the right, y up, z along the road, in metres; the ground is y = 0.
Camera coordinates: x to the right, y down, z away from the camera.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

NEAR = 0.4
"""Nothing closer than this many metres is drawn."""


class Camera:
    """Where the camera stands, where it looks, and how it projects.

    Args:
        height, width: size of the canvas in pixels.
        eye: position (x, y, z) in metres.
        yaw, pitch, roll: turn to the right, upwards and clockwise, in radians.
        focal: focal length as a multiple of the picture's width at an aspect ratio of 4:3.
    """

    def __init__(
        self,
        height: int,
        width: int,
        *,
        eye: tuple[float, float, float],
        yaw: float,
        pitch: float,
        roll: float,
        focal: float,
    ) -> None:
        self.height, self.width = height, width
        self.eye = np.array(eye, dtype=np.float64)
        self.focal = float(focal * min(width, height * 4 / 3))
        turn = np.array([[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
        tilt = np.array([[math.cos(roll), math.sin(roll), 0], [-math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
        self.rotation = np.diag([1.0, -1.0, 1.0]) @ tilt @ nod @ turn
        self.centre = np.array([(width - 1) / 2, (height - 1) / 2])
        self._turned = self.rotation.T.copy()
        self._shift = self.eye @ self._turned
        self._ahead = [*self.rotation[2].tolist(), float(self._shift[2])]

    def see(self, points: np.ndarray) -> np.ndarray:
        """Camera coordinates, shape (..., 3), of street coordinates, shape (..., 3)."""
        return points @ self._turned - self._shift

    def depth(self, point: np.ndarray) -> float:
        """How many metres in front of the camera's plane a point (3,) lies."""
        x, y, z = point
        a, b, c, d = self._ahead
        return float(x * a + y * b + z * c - d)

    def flatten(self, seen: np.ndarray) -> np.ndarray:
        """Pixels, shape (..., 2), of camera coordinates, shape (..., 3), all of them in front of the camera."""
        return seen[..., :2] * (self.focal / seen[..., 2:]) + self.centre

    def outline(self, points: np.ndarray) -> list[float] | None:
        """Pixels x0, y0, x1, y1… of a convex polygon's part in front of the camera; None if none of it is in view."""
        seen = self.see(points).tolist()
        # Plain numbers: for the four corners of most polygons they are several times as fast as arrays.
        if any(corner[2] < NEAR for corner in seen):
            seen = clip_near(seen)
            if len(seen) < 3:
                return None
        return self.flat_list(seen)

    def flat_list(self, seen: list[list[float]]) -> list[float] | None:
        """Pixels x0, y0, x1, y1… of corners in camera coordinates, all before the camera; None if out of view."""
        focal, (cx, cy) = self.focal, self.centre.tolist()
        xs = [corner[0] * focal / corner[2] + cx for corner in seen]
        ys = [corner[1] * focal / corner[2] + cy for corner in seen]
        if max(xs) < 0 or max(ys) < 0 or min(xs) >= self.width or min(ys) >= self.height:
            return None
        return [min(max(v, -20000.0), 20000.0) for pair in zip(xs, ys, strict=True) for v in pair]

    @cached_property
    def rays(self) -> np.ndarray:
        """Direction in street coordinates in which each pixel looks, float32, shape (height, width, 3)."""
        columns = (np.arange(self.width) - self.centre[0]) / self.focal
        rows = (np.arange(self.height) - self.centre[1]) / self.focal
        across, down, ahead = self.rotation.astype(np.float32)
        return (
            columns.astype(np.float32)[None, :, None] * across + rows.astype(np.float32)[:, None, None] * down + ahead
        )


def clip_near(seen: list[list[float]]) -> list[list[float]]:
    """Cut a convex polygon, its corners in camera coordinates, at the plane z = NEAR."""
    kept = []
    for here, there in zip(seen, seen[1:] + seen[:1], strict=True):
        if here[2] >= NEAR:
            kept.append(here)
        if (here[2] >= NEAR) != (there[2] >= NEAR):
            share = (NEAR - here[2]) / (there[2] - here[2])
            kept.append([a + (b - a) * share for a, b in zip(here, there, strict=True)])
    return kept
