"""Daylight of the painted street scenes: sun, sky, haze, and the colour a surface shows under them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Light:
    """The light of one scene; colours are RGB factors, about 0 to 1.

    Attributes:
        sun: unit vector towards the sun, street coordinates.
        direct: colour of the light that comes from the sun.
        ambient: colour of the light that comes from everywhere.
        haze: colour that far things fade into.
        haze_distance: metres after which 63 % of a thing's colour has faded.
        zenith, horizon: sky colours above and at the horizon.
        cloud: colour of the clouds.
        cover: share of the sky that clouds cover, 0 to 1.
        dusk: whether lamps, windows and headlights are lit.
    """

    sun: np.ndarray
    direct: np.ndarray
    ambient: np.ndarray
    haze: np.ndarray
    haze_distance: float
    zenith: np.ndarray
    horizon: np.ndarray
    cloud: np.ndarray
    cover: float
    dusk: bool

    def shade(self, albedo: np.ndarray, normal: np.ndarray | None = None, depth: float = 0.0) -> Colour:
        """The colour, 0 to 255, of a matt surface: `albedo` (3,), unit `normal` (3,) or None for a round thing."""
        facing = 0.55 if normal is None else max(0.0, float(normal @ self.sun))
        return self.through_haze(albedo * (self.ambient + self.direct * facing), depth)

    def through_haze(self, lit: np.ndarray, depth: float) -> Colour:
        """The colour, 0 to 255, of light `lit` (3,) seen through `depth` metres of air."""
        clear = math.exp(-depth / self.haze_distance) if depth > 0 else 1.0
        r, g, b = (lit * (255 * clear) + self.haze * (255 - 255 * clear)).tolist()
        return (
            int(r) if 0 < r < 255 else 255 * (r > 0),
            int(g) if 0 < g < 255 else 255 * (g > 0),
            int(b) if 0 < b < 255 else 255 * (b > 0),
        )

    def in_shadow(self, share: float) -> Light:
        """The same light with `share` (0 to 1) of the direct light taken away."""
        return replace(self, direct=self.direct * (1 - share))


def choose_light(rng: np.random.Generator) -> Light:
    """Draw a time of day and a weather."""
    kind = rng.choice(["sunny", "low sun", "overcast", "haze", "dusk"], p=[0.27, 0.2, 0.3, 0.11, 0.12])
    elevation = math.radians({"sunny": rng.uniform(32, 58), "low sun": rng.uniform(14, 26)}.get(kind, 50))
    azimuth = rng.uniform(0, 2 * math.pi)
    sun = np.array(
        [math.sin(azimuth) * math.cos(elevation), math.sin(elevation), math.cos(azimuth) * math.cos(elevation)]
    )
    white = np.ones(3)
    grey = rng.uniform(0.62, 0.95) * white * rng.normal(1, 0.012, 3)
    exposure = rng.uniform(0.85, 1.2)
    if kind == "sunny":
        direct, ambient = np.array([0.62, 0.59, 0.52]), np.array([0.46, 0.49, 0.55])
        zenith, horizon = np.array([0.33, 0.53, 0.82]), np.array([0.72, 0.82, 0.92])
        cloud, cover, distance = 0.96 * white, rng.uniform(0.05, 0.6), rng.uniform(180, 400)
    elif kind == "low sun":
        direct, ambient = np.array([0.72, 0.58, 0.40]), np.array([0.34, 0.36, 0.42])
        zenith, horizon = np.array([0.45, 0.58, 0.76]), np.array([0.93, 0.86, 0.74])
        cloud, cover, distance = np.array([0.97, 0.9, 0.82]), rng.uniform(0.1, 0.7), rng.uniform(120, 260)
    elif kind == "overcast":
        direct, ambient = 0.10 * white, np.array([0.70, 0.71, 0.73])
        zenith, horizon = grey * 0.92, grey
        cloud, cover, distance = grey * rng.uniform(0.75, 1.0), rng.uniform(0.5, 1.0), rng.uniform(130, 300)
    elif kind == "haze":
        direct, ambient = 0.14 * white, np.array([0.68, 0.68, 0.68])
        zenith, horizon = grey, grey * 0.98
        cloud, cover, distance = grey, 0.3, rng.uniform(45, 85)
    else:
        direct, ambient = 0.06 * white, np.array([0.35, 0.36, 0.42])
        zenith, horizon = np.array([0.36, 0.40, 0.50]), np.array([0.62, 0.58, 0.56])
        cloud, cover, distance = np.array([0.40, 0.41, 0.46]), rng.uniform(0.4, 0.9), rng.uniform(120, 220)
    haze = 0.92 * horizon
    return Light(
        sun=sun,
        direct=direct * exposure,
        ambient=ambient * exposure,
        haze=haze,
        haze_distance=distance,
        zenith=zenith,
        horizon=horizon,
        cloud=cloud,
        cover=cover,
        dusk=kind == "dusk",
    )
