"""Sky, road, pavement and verges of the painted street scenes: everything that is computed pixel by pixel."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from course_utils.classes import CLASS_NAMES
from data_scripts._scene_brush import Brush
from data_scripts._scene_noise import cloud_noise
from data_scripts._scene_street import LEFT, RIGHT, Street

SKY, ROAD, PAVEMENT, TREE = (CLASS_NAMES.index(name) for name in ("Sky", "Road", "Pavement", "Tree"))
TILE = 256
"""Side of the square of ground noise that repeats; a power of two."""


def paint_sky(brush: Brush, rng: np.random.Generator) -> None:
    """Fill the whole canvas with sky: a gradient, clouds, and a glow around the sun."""
    light, camera = brush.light, brush.camera
    # The sky is smooth: a quarter of the pixels are enough.
    rays = camera.rays[::2, ::2]
    rays = rays / np.sqrt((rays**2).sum(axis=-1, keepdims=True))
    up = rays[..., 1]
    rise = np.clip(up / 0.5, 0, 1)[..., None] ** 0.7
    sky = light.horizon * (1 - rise) + light.zenith * rise
    # Noise on a fixed grid, so that the same clouds appear at every canvas size.
    noise = cloud_noise(rng, 192, 256, cells=int(rng.integers(3, 6)), octaves=5)
    noise = np.asarray(Image.fromarray(noise).resize(up.shape[::-1], Image.Resampling.BICUBIC))
    threshold = 1.3 - 2.6 * light.cover
    thick = np.clip((noise - threshold) / 1.2, 0, 1)[..., None]
    belly = 1 - 0.10 * np.clip(noise - threshold - 0.7, 0, 2)[..., None]
    sky = sky * (1 - thick) + light.cloud * belly * thick
    if light.direct.max() > 0.3:
        sky = sky + 0.5 * np.exp((rays @ light.sun - 1) * 18)[..., None]
    half = Image.fromarray((np.clip(sky, 0, 1) * 255).astype(np.uint8))
    canvas = half.resize((camera.width, camera.height), Image.Resampling.BILINEAR).convert("RGBA")
    canvas.putalpha(SKY)
    brush.load(np.asarray(canvas))


class Shadows:
    """The dark patches that things cast on the ground, gathered before the ground is painted."""

    def __init__(self, brush: Brush) -> None:
        self._brush = brush
        self._image = Image.new("L", brush.canvas.size)
        self._draw = ImageDraw.Draw(self._image)

    def cast(self, points: np.ndarray, strength: float = 1.0) -> None:
        """Add the shadow of a convex thing, given by its corner points (N, 3)."""
        sun = self._brush.light.sun
        on_ground = points - sun * np.minimum(points[:, 1:2] / sun[1], 40.0 / sun[1])
        on_ground[:, 1] = 0
        outline = self._brush.camera.outline(convex_hull(on_ground))
        if outline is not None:
            self._draw.polygon(outline, fill=int(255 * strength))

    @cached_property
    def array(self) -> np.ndarray:
        """Share of the sunlight that is taken away, shape (height, width), 0 to 1, once all shadows are cast."""
        soft = self._image.filter(ImageFilter.BoxBlur(max(1, self._image.height // 240)))
        return np.asarray(soft, dtype=np.float32) / 255

    def at(self, point: np.ndarray) -> float:
        """Share of the sunlight that is taken away at a point (3,) on the ground."""
        camera = self._brush.camera
        seen = camera.see(point)
        if seen[2] <= 0.5:
            return 0.0
        x, y = camera.flatten(seen)
        if not (0 <= x < camera.width and 0 <= y < camera.height):
            return 0.0
        return float(self.array[int(y), int(x)])


def convex_hull(points: np.ndarray) -> np.ndarray:
    """Corners, in order, of the convex hull of ground points (N, 3) seen from above."""
    ordered = sorted({(float(x), float(z)) for x, _, z in points})
    chains = []
    for sequence in (ordered, ordered[::-1]):
        chain: list[tuple[float, float]] = []
        for x, z in sequence:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], (x, z)) <= 0:
                chain.pop()
            chain.append((x, z))
        chains += chain[:-1]
    return np.array([(x, 0.0, z) for x, z in chains])


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def paint_ground(brush: Brush, street: Street, shadows: Shadows, rng: np.random.Generator) -> None:
    """Fill everything below the horizon with road, pavement, or what lies beyond it."""
    camera, light = brush.camera, brush.light
    below = camera.rays[..., 1] < -0.003
    rays = camera.rays[below]
    eye_x, eye_y, eye_z = camera.eye.tolist()
    depth = -eye_y / rays[:, 1]
    x, z = eye_x + depth * rays[:, 0], eye_z + depth * rays[:, 2]
    lateral = x - street.centre(z)
    road, pavement = zones(street, lateral, z)
    grass = ~road & ~pavement & np.where(lateral < 0, street.grass[0], street.grass[1])

    tile = rng.normal(size=(TILE, TILE)).astype(np.float32)
    blotches = cloud_noise(rng, TILE, TILE, 12)
    last = TILE - 1
    grain = tile[(x * 9).astype(np.int32) & last, (z * 9).astype(np.int32) & last] * np.exp(-depth / 9)
    patches = blotches[(x * 7).astype(np.int32) & last, (z * 4).astype(np.int32) & last]

    grey = rng.uniform(0.26, 0.5)
    asphalt = np.array([grey, grey, grey]) * rng.normal(1, 0.025, 3)
    slab = np.array([1.0, 0.98, 0.94]) * np.clip(grey + rng.normal(0.06, 0.08), 0.25, 0.6)
    slab = slab * (np.array([1.08, 0.95, 0.85]) if rng.random() < 0.15 else 1.0)
    lawn = np.array([0.26, 0.34, 0.16]) * rng.uniform(0.8, 1.35)

    texture = 1 + 0.05 * grain + 0.03 * patches
    texture = np.where(road, road_texture(street, lateral, z, patches, grain, rng), texture)
    texture = np.where(grass, 1 + 0.16 * grain + 0.14 * patches, texture)
    edge = np.abs(lateral) - street.half_road
    texture[pavement & (edge > 0) & (edge < 0.22)] *= 1.18
    texture[road & (edge > -0.13)] *= 0.82
    joint = ((np.abs(lateral) % 0.75 < 0.035) | (z % 0.9 < 0.04)) & (depth < 16) & pavement
    texture[joint] *= 0.86
    surface = np.where(road, 1, np.where(grass, 2, 0))
    albedo = np.array([slab, asphalt, lawn], dtype=np.float32)[surface] * texture[:, None]
    draw_markings(albedo, street, lateral, z, depth, road & (patches > -2.1), rng)

    sunlit = (1 - 0.92 * shadows.array[below])[:, None]
    occlusion = (1 - 0.25 * shadows.array[below])[:, None]
    ambient, direct = light.ambient.astype(np.float32), (light.direct * light.sun[1]).astype(np.float32)
    lit = albedo * (ambient * occlusion + direct * sunlit)
    clear = np.exp(-depth / light.haze_distance)[:, None]
    canvas, painted = np.array(brush.canvas), np.empty((len(x), 4), dtype=np.uint8)
    painted[:, :3] = np.clip(255 * (lit * clear + light.haze.astype(np.float32) * (1 - clear)), 0, 255)
    painted[:, 3] = np.array([PAVEMENT, ROAD, TREE])[surface]
    canvas[below] = painted
    brush.load(canvas)


def zones(street: Street, lateral: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which ground points are road and which are pavement, two boolean arrays."""
    width = np.where(lateral < 0, street.pavement[0], street.pavement[1])
    own = z < street.end()
    road = (np.abs(lateral) < street.half_road) & own
    pavement = (np.abs(lateral) < street.half_road + width) & own
    if street.junction is not None:
        away = np.abs(z - street.junction.z)
        on_side = np.zeros(len(z), dtype=bool)
        for side in street.junction.open_sides:
            on_side |= lateral * side > 0
        if street.junction.ends_road:
            on_side |= np.abs(lateral) < street.half_road
        road |= on_side & (away < street.junction.half_width)
        pavement |= on_side & (away < street.junction.half_width + 2.0)
    return road, pavement & ~road


def road_texture(
    street: Street, lateral: np.ndarray, z: np.ndarray, patches: np.ndarray, grain: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Brightness factor of the asphalt: worn tracks, patches, repairs, cracks."""
    lane = np.abs(np.abs(lateral) - street.half_road / 2)
    texture = 1 + 0.07 * grain + 0.05 * patches
    texture += 0.05 * np.exp(-(((lane - 0.75) / 0.25) ** 2)) - 0.05 * np.exp(-((lane / 0.3) ** 2))
    for _ in range(int(rng.integers(0, 5))):
        across, along = rng.uniform(-street.half_road, street.half_road), rng.uniform(2, 25)
        wide, long = rng.uniform(0.4, 1.2), rng.uniform(0.5, 5)
        repaired = (np.abs(lateral - across) < wide) & (np.abs(z - along) < long)
        texture[repaired] *= rng.uniform(0.8, 1.12)
    crack = np.abs(lateral - rng.uniform(-2, 2) - 0.25 * np.sin(z * 1.7) - 0.12 * np.sin(z * 5.1)) < 0.02
    texture[crack & (z > 1)] *= 0.75
    cover_x, cover_z = rng.uniform(-2, 2), rng.uniform(4, 12)
    cover = (lateral - cover_x) ** 2 + (z - cover_z) ** 2
    texture[cover < 0.09] *= 0.72
    return texture


def draw_markings(
    albedo: np.ndarray,
    street: Street,
    lateral: np.ndarray,
    z: np.ndarray,
    depth: np.ndarray,
    paintable: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Paint lane lines, zebra, zigzag, stop line and edge lines into the ground colours (N, 3), in place."""
    # Far away a line keeps at least the width of a pixel and pales instead.
    wide = np.maximum(1.0, depth / 45)
    white = np.array([0.84, 0.84, 0.82]) * rng.uniform(0.8, 1.0)
    yellow = np.array([0.75, 0.62, 0.25])
    fade = np.clip(1.05 - depth / 90, 0.25, 0.9)[:, None]

    def paint(where: np.ndarray, colour: np.ndarray) -> None:
        where = where & paintable
        albedo[where] = albedo[where] * (1 - fade[where]) + colour * fade[where]

    junction = street.junction
    clear = np.ones(len(z), dtype=bool)
    if junction is not None:
        clear = np.abs(z - junction.z) > junction.half_width + 1.2
    period, share = float(rng.choice([4.0, 6.0, 9.0])), rng.uniform(0.35, 0.7)
    style = rng.choice(["dashes", "double", "none"], p=[0.72, 0.13, 0.15])
    offset = rng.uniform(0, period)
    if style == "dashes":
        paint(clear & (np.abs(lateral) < 0.07 * wide) & ((z + offset) % period < share * period), white)
    elif style == "double":
        paint(clear & (np.abs(np.abs(lateral) - 0.12 * wide) < 0.06 * wide), white)
    for side in (LEFT, RIGHT):
        edge = street.half_road - lateral * side
        kind = rng.choice(["none", "single", "double", "bay"], p=[0.35, 0.2, 0.25, 0.2])
        if kind in ("single", "double"):
            paint(clear & (np.abs(edge - 0.28) < 0.05 * wide), yellow)
        if kind == "double":
            paint(clear & (np.abs(edge - 0.48) < 0.05 * wide), yellow)
        if kind == "bay":
            paint(clear & (np.abs(edge - 2.1) < 0.06 * wide) & ((z + offset) % 1.6 < 0.9), white)
    if rng.random() < 0.3:
        zebra = rng.uniform(6, 22)
        stripes = (np.abs(z - zebra) < 1.5) & ((lateral + 20) % 1.1 < 0.55)
        paint(stripes & (np.abs(lateral) < street.half_road - 0.15), white)
        wave = 0.22 * (2 * np.abs((z / 2.0) % 1 - 0.5) * 2 - 1)
        near = (np.abs(z - zebra) > 2) & (np.abs(z - zebra) < 9)
        paint(near & (np.abs(np.abs(lateral) - street.half_road + 0.55 + wave) < 0.06 * wide), white)
    if junction is not None:
        line = junction.z - junction.half_width - 0.6
        paint((np.abs(z - line) < 0.13 * wide) & (lateral < 0), white)
        if junction.half_width > 3 and rng.random() < 0.5:
            beside = np.abs(z - junction.z) < 0.07 * wide
            paint(beside & (np.abs(lateral) > street.half_road) & (np.abs(lateral) % 4 < 2), white)
    if rng.random() < 0.35:
        draw_arrow(paint, lateral + street.half_road / 2, z - rng.uniform(5, 12), white, rng)


def draw_arrow(paint, lateral: np.ndarray, along: np.ndarray, colour: np.ndarray, rng: np.random.Generator) -> None:
    """Paint a direction arrow around (0, 0): ahead, or turning to a side."""
    shaft = (np.abs(lateral) < 0.1) & (along > -1.6) & (along < 0.8)
    side = float(rng.choice([-1, 0, 1], p=[0.3, 0.4, 0.3]))
    if side == 0:
        head = (along >= 0.8) & (along < 2.0) & (np.abs(lateral) < 0.32 * (2.0 - along) / 1.2)
    else:
        across = lateral * side
        head = (across >= 0) & (across < 0.5) & (np.abs(along - 0.7) < 0.15)
        head |= (across >= 0.5) & (across < 1.0) & (np.abs(along - 0.7) < 0.8 * (1.0 - across))
    paint(shaft | head, colour)
