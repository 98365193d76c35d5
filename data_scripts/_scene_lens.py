"""From the canvas to the photograph: area averaging, surface grain, vignetting, tint, blur, camera noise, void rims."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from course_utils.classes import CLASS_NAMES, VOID
from data_scripts._scene_noise import cloud_noise

GRAIN = {
    "Building": 0.045,
    "Road": 0.03,
    "Pavement": 0.045,
    "Tree": 0.12,
    "Fence": 0.06,
    "Pedestrian": 0.04,
    "Void": 0.04,
}
"""How strongly the surface of each class is mottled, as a share of its brightness."""

BROAD = ("Sky", "Building", "Road", "Pavement", "Tree", "Car")
"""Only borders between these classes may be left unlabelled: rims would swallow thin things whole."""


def develop(canvas: Image.Image, height: int, width: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The photograph, uint8 (height, width, 3), and the mask, uint8 (height, width), of a larger canvas."""
    scale = canvas.height // height
    mask = np.asarray(canvas.getchannel(3))[scale // 2 :: scale, scale // 2 :: scale].copy()
    photograph = np.asarray(canvas.convert("RGB").reduce(scale)).astype(np.float32) / 255
    amplitude = np.zeros(256, dtype=np.float32)
    for name, value in GRAIN.items():
        amplitude[CLASS_NAMES.index(name)] = value
    mottle = 0.75 * rng.normal(size=(height, width)) + 0.6 * cloud_noise(rng, height, width, max(4, width // 6), 2)
    photograph *= (1 + amplitude[mask] * mottle.astype(np.float32))[..., None]
    return expose(photograph, rng), leave_rims(mask, rng)


def expose(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lens and sensor: (height, width, 3) of about 0 to 1 in, uint8 out."""
    height, width = photograph.shape[:2]
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    falloff = 1 - rng.uniform(0.04, 0.22) * ((x**2 + y**2) / 2) ** 1.2
    tint = rng.normal(1.0, 0.025, 3) * rng.uniform(0.95, 1.2)
    gamma = rng.uniform(0.8, 1.1)
    radius = rng.uniform(0.25, 0.6) * height / 180
    photograph = np.clip(photograph * falloff[..., None] * tint, 0, 1) ** gamma
    blurred = Image.fromarray((photograph * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    sigma = rng.uniform(0.006, 0.02)
    noisy = np.asarray(blurred) / 255 + sigma * rng.normal(size=photograph.shape)
    return (np.clip(noisy, 0, 1) * 255).round().astype(np.uint8)


def leave_rims(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mask with stretches of the borders between broad classes left unlabelled, as hurried annotators do."""
    height, width = mask.shape
    # A pixel is broad if a 5x5 square of one class covers it: twigs and the sky between them are not.
    uniform = sweep(mask, np.maximum) == sweep(mask, np.minimum)
    broad = sweep(uniform, np.logical_or)
    broad &= np.isin(mask, [CLASS_NAMES.index(name) for name in BROAD])
    border = np.zeros(mask.shape, dtype=bool)
    border[:, 1:] |= (mask[:, 1:] != mask[:, :-1]) & broad[:, 1:] & broad[:, :-1]
    border[1:] |= (mask[1:] != mask[:-1]) & broad[1:] & broad[:-1]
    careless = cloud_noise(rng, height, width, 7, 2)
    rim = border & (careless > 0.15)
    wide = border & (careless > 0.7)
    wide[:, :-1] |= wide[:, 1:]
    wide[:-1] |= wide[1:]
    return np.where(rim | (wide & broad), VOID, mask).astype(np.uint8)


def sweep(grid: np.ndarray, combine: np.ufunc) -> np.ndarray:
    """At each place of `grid` (H, W), combine the 5x5 values around it."""
    for _ in range(2):
        padded = np.pad(grid, ((2, 2), (0, 0)), mode="edge")
        rows = [padded[i : i + len(grid)] for i in range(5)]
        grid = combine.reduce(rows).T
    return grid
