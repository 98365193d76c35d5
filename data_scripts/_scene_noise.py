"""Smooth random fields, the raw material of clouds, asphalt and leaves in the painted street scenes."""

from __future__ import annotations

import numpy as np
from PIL import Image


def smooth_noise(rng: np.random.Generator, height: int, width: int, rows: int, columns: int) -> np.ndarray:
    """Standard normal values on a (rows, columns) grid, stretched to (height, width) without steps."""
    grid = Image.fromarray(rng.normal(size=(rows, columns)).astype(np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))


def cloud_noise(rng: np.random.Generator, height: int, width: int, cells: int, octaves: int = 4) -> np.ndarray:
    """Fractal noise, shape (height, width), about standard normal: `cells` blobs across, and finer ones on top."""
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        columns = cells * 2**octave
        rows = max(2, columns * height // width) + 1
        total += smooth_noise(rng, height, width, rows, columns + 1) * 0.55**octave
    return total / max(float(total.std()), 1e-6)
