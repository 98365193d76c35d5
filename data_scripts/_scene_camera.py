"""The pin-hole camera of the painted street scenes: metres in the street become pixels on the canvas.

Street coordinates: x to the right, y up, z along the road, in metres; the ground is y = 0.
Camera coordinates: x to the right, y down, z away from the camera.
"""

from __future__ import annotations

import math

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
        self.focal = focal * min(width, height * 4 / 3)
        turn = np.array([[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
        tilt = np.array([[math.cos(roll), math.sin(roll), 0], [-math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
        self.rotation = np.diag([1.0, -1.0, 1.0]) @ tilt @ nod @ turn
        self.centre = np.array([(width - 1) / 2, (height - 1) / 2])

    def see(self, points: np.ndarray) -> np.ndarray:
        """Camera coordinates, shape (..., 3), of street coordinates, shape (..., 3)."""
        return (np.asarray(points, dtype=np.float64) - self.eye) @ self.rotation.T

    def flatten(self, seen: np.ndarray) -> np.ndarray:
        """Pixels, shape (..., 2), of camera coordinates, shape (..., 3), all of them in front of the camera."""
        return seen[..., :2] * (self.focal / seen[..., 2:]) + self.centre

    def outline(self, points: np.ndarray) -> np.ndarray | None:
        """Pixels, shape (M, 2), of a convex polygon's part in front of the camera; None if there is none."""
        seen = clip_near(self.see(points))
        if len(seen) < 3:
            return None
        flat = self.flatten(seen)
        return flat if self.in_view(flat) else None

    def in_view(self, flat: np.ndarray) -> bool:
        """Whether the box around the pixels (M, 2) touches the canvas."""
        low, high = flat.min(axis=0), flat.max(axis=0)
        return bool(high[0] >= 0 and high[1] >= 0 and low[0] < self.width and low[1] < self.height)

    def rays(self) -> np.ndarray:
        """Direction in street coordinates in which each pixel looks, shape (height, width, 3)."""
        columns = (np.arange(self.width) - self.centre[0]) / self.focal
        rows = (np.arange(self.height) - self.centre[1]) / self.focal
        grid = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None], 1.0), axis=-1)
        return (grid @ self.rotation).astype(np.float32)


def clip_near(seen: np.ndarray) -> np.ndarray:
    """Cut a convex polygon in camera coordinates, shape (N, 3), at the plane z = NEAR."""
    inside = seen[:, 2] >= NEAR
    if inside.all():
        return seen
    if not inside.any():
        return seen[:0]
    kept = []
    for i in range(len(seen)):
        here, there = seen[i], seen[(i + 1) % len(seen)]
        if inside[i]:
            kept.append(here)
        if inside[i] != inside[(i + 1) % len(seen)]:
            kept.append(here + (there - here) * ((NEAR - here[2]) / (there[2] - here[2])))
    return np.array(kept)
