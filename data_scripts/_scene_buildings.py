"""Buildings of the painted street scenes: walls, roofs, chimneys, rows of windows, doors and shop fronts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from course_utils.classes import CLASS_NAMES
from data_scripts._scene_brush import UP, Brush, box
from data_scripts._scene_light import Colour

BUILDING, SIGN = CLASS_NAMES.index("Building"), CLASS_NAMES.index("SignSymbol")

WALLS = {
    "red brick": (0.50, 0.30, 0.24),
    "yellow brick": (0.64, 0.56, 0.42),
    "stone": (0.56, 0.55, 0.51),
    "white": (0.84, 0.83, 0.80),
    "cream": (0.80, 0.74, 0.61),
    "brown": (0.33, 0.26, 0.21),
    "concrete": (0.50, 0.50, 0.50),
    "moss": (0.40, 0.44, 0.35),
    "slate": (0.42, 0.46, 0.53),
    "soot": (0.26, 0.25, 0.25),
    "rose": (0.68, 0.47, 0.43),
}
BRICK = {"red brick", "yellow brick", "brown", "soot", "rose"}


@dataclass(frozen=True)
class Wall:
    """An upright rectangle: `start` (3,) at its foot, unit vector `along` (3,), outward unit `normal` (3,)."""

    start: np.ndarray
    along: np.ndarray
    normal: np.ndarray
    length: float
    height: float

    @property
    def middle(self) -> np.ndarray:
        """The point (3,) at its foot, halfway along."""
        return self.start + self.along * (self.length / 2)

    def quads(self, rectangles: list | np.ndarray, out: float = 0.0) -> np.ndarray:
        """Corners in space, (K, 4, 3), of rectangles (left, bottom, right, top) on the wall, `out` metres before it."""
        r = np.asarray(rectangles, dtype=np.float64).reshape(-1, 4)
        s, y = r[:, [0, 2, 2, 0]], r[:, [1, 1, 3, 3]]
        return self.start + self.normal * out + s[..., None] * self.along + y[..., None] * UP


@dataclass(frozen=True)
class Style:
    """What repeats on a facade; lengths in metres, colours as RGB factors."""

    wall: np.ndarray
    trim: np.ndarray
    storey: float
    bay: float
    window: tuple[float, float]
    brick: bool
    ground: str
    roof: str


def choose_style(rng: np.random.Generator, theme: str) -> Style:
    """Draw a style that suits the neighbourhood: "town", "houses" or "works"."""
    name = str(rng.choice(list(WALLS)))
    wall = np.array(WALLS[name]) * rng.uniform(0.8, 1.15) * rng.normal(1, 0.03, 3)
    trim = np.array([0.86, 0.85, 0.82]) if rng.random() < 0.65 else np.array([0.25, 0.24, 0.23])
    if theme == "works":
        window = (rng.uniform(1.4, 2.6), rng.uniform(1.1, 1.6))
        return Style(
            wall, trim, rng.uniform(3.2, 4.2), window[0] + rng.uniform(0.3, 0.9), window, False, "same", "flat"
        )
    window = (rng.uniform(0.85, 1.35), rng.uniform(1.25, 1.8))
    ground = str(rng.choice(["shop", "doors"], p=[0.6, 0.4])) if theme == "town" else "doors"
    roof = "pitched" if rng.random() < (0.6 if theme == "town" else 0.95) else "flat"
    return Style(
        wall, trim, rng.uniform(2.8, 3.3), window[0] + rng.uniform(0.8, 1.7), window, name in BRICK, ground, roof
    )


def paint_building(
    brush: Brush,
    near: np.ndarray,
    far: np.ndarray,
    normal: np.ndarray,
    *,
    storeys: int,
    depth: float,
    theme: str,
    rng: np.random.Generator,
) -> None:
    """Draw a house whose front stands on the line from `near` to `far` (3,) and faces `normal` (3,)."""
    style = choose_style(rng, theme)
    length = float(np.linalg.norm(far - near))
    height = storeys * style.storey + rng.uniform(0.4, 1.0)
    front = Wall(near, (far - near) / length, normal, length, height)
    gable = Wall(near - normal * depth, normal, -front.along, depth, height)
    rise = rng.uniform(0.25, 0.5) * depth if style.roof == "pitched" else 0.0
    paint_roof(brush, front, depth, rise, rng)
    if (brush.camera.eye - near) @ gable.normal > 0:
        paint_gable(brush, gable, rise, style, rng)
    if (brush.camera.eye - near) @ normal > 0:
        paint_front(brush, front, style, rng)


def paint_roof(brush: Brush, front: Wall, depth: float, rise: float, rng: np.random.Generator) -> None:
    """Draw the roof slope (or the parapet), its skylights and the chimneys."""
    tiles = np.array([(0.33, 0.32, 0.34), (0.45, 0.29, 0.23), (0.38, 0.33, 0.29)][int(rng.integers(3))])
    eaves, back = front.start + UP * front.height, -front.normal * depth / 2
    far = brush.depth(front.middle)
    if rise:
        a, b = eaves, eaves + front.along * front.length
        slope = np.array([a, b, b + back + UP * rise, a + back + UP * rise])
        tilted = front.normal * rise + UP * depth / 2
        tilted = tilted / np.linalg.norm(tilted)
        if (brush.camera.eye - a) @ tilted < 0:
            return
        brush.face(slope, brush.light.shade(tiles, tilted, far), BUILDING)
        for at in np.arange(rng.uniform(1.5, 4), front.length - 1.2, rng.uniform(3, 9)):
            corners = [(at, 0.35), (at + 0.8, 0.35), (at + 0.8, 0.6), (at, 0.6)]
            pane = np.array([eaves + front.along * s + (back + UP * rise) * t + UP * 0.05 for s, t in corners])
            brush.face(pane, brush.light.through_haze(0.55 * brush.light.horizon, far), BUILDING)
    ridge = eaves + back + UP * rise
    chimney = np.array(WALLS["red brick"]) * rng.uniform(0.6, 1.2)
    for share in rng.choice([0.04, 0.35, 0.65, 0.96], size=int(rng.integers(0, 3)), replace=False):
        foot = ridge + front.along * (front.length * share) - UP * 0.5
        tall = rng.uniform(1.3, 2.2)
        box(brush, foot, front.along, (1.1, tall, 0.7), chimney, BUILDING)
        for shift in (-0.3, 0.0, 0.3):
            pot = foot + front.along * shift + UP * tall
            brush.stroke(
                pot, pot + UP * 0.45, 0.09, brush.light.shade(np.array([0.6, 0.38, 0.28]), None, far), BUILDING
            )


def paint_gable(brush: Brush, gable: Wall, rise: float, style: Style, rng: np.random.Generator) -> None:
    """Draw the end wall, with its triangle under the roof and a few windows."""
    depth = brush.depth(gable.middle)
    corners = gable.quads([(0, 0, gable.length, gable.height)])[0]
    peak = gable.middle + UP * (gable.height + rise)
    outline = np.concatenate([corners[:3], peak[None], corners[3:]])
    brush.face(outline, brush.light.shade(style.wall * 0.96, gable.normal, depth), BUILDING)
    paint_bricks(brush, gable, style, rng)
    if rng.random() < 0.5:
        rows = np.arange(1.0, gable.height - style.window[1], style.storey)
        left = rng.uniform(0.5, gable.length - 1.5)
        paint_windows(brush, gable, [(left, y, left + style.window[0], y + style.window[1]) for y in rows], style, rng)


def paint_front(brush: Brush, wall: Wall, style: Style, rng: np.random.Generator) -> None:
    """Draw the street front: wall, cornice, windows of all storeys, and the ground floor."""
    depth = brush.depth(wall.middle)
    shade = brush.light.shade
    brush.face(wall.quads([(0, 0, wall.length, wall.height)])[0], shade(style.wall, wall.normal, depth), BUILDING)
    paint_bricks(brush, wall, style, rng)
    bands = [(0, 0, wall.length, 0.45), (0, wall.height - 0.35, wall.length, wall.height)]
    if rng.random() < 0.5:
        bands.append((0, style.storey - 0.1, wall.length, style.storey + 0.1))
    colours = [shade(style.wall * f, wall.normal, depth) for f in (0.72, 1.12, 1.12)]
    if style.roof == "pitched":
        colours[1] = shade(np.full(3, 0.2), wall.normal, depth)
        bands[1] = (0, wall.height - 0.18, wall.length, wall.height)
    brush.faces(wall.quads(bands, 0.03), colours[: len(bands)], BUILDING)
    bays = max(1, int(wall.length / style.bay))
    gap = wall.length / bays
    lefts = (np.arange(bays) + 0.5) * gap - style.window[0] / 2
    first = 0 if style.ground == "same" else 1
    floors = range(first, int((wall.height - 0.3) / style.storey))
    sill = 0.9 if style.storey < 3.2 else 1.0
    upper = [
        (
            x,
            f * style.storey + sill,
            x + style.window[0],
            min(f * style.storey + sill + style.window[1], wall.height - 0.4),
        )
        for f in floors
        for x in lefts
    ]
    paint_windows(brush, wall, upper, style, rng)
    if style.ground == "shop":
        paint_shops(brush, wall, style, rng)
    elif style.ground == "doors":
        paint_doors(brush, wall, lefts, sill, style, rng)
    pipe = rng.uniform(0.1, wall.length - 0.1)
    foot = wall.start + wall.along * pipe + wall.normal * 0.08
    brush.stroke(foot, foot + UP * (wall.height - 0.3), 0.05, shade(style.wall * 0.6, wall.normal, depth), BUILDING)


def paint_bricks(brush: Brush, wall: Wall, style: Style, rng: np.random.Generator) -> None:
    """Scatter lighter and darker bricks, or stains on a plain wall."""
    count = int(min(220, wall.length * wall.height * 1.6))
    s, y = rng.uniform(0, wall.length - 0.4, count), rng.integers(0, int(wall.height / 0.16), count) * 0.16
    tone = rng.choice([0.84, 0.92, 1.08, 1.16], count)
    stains = rng.uniform(0, 1, (6, 3))
    depth = brush.depth(wall.middle)
    if depth > 45:
        return
    shade = brush.light.shade
    if style.brick:
        palette = {t: shade(style.wall * t, wall.normal, depth) for t in (0.84, 0.92, 1.08, 1.16)}
        rectangles = np.stack([s, y, s + 0.36, y + 0.14], axis=1)
        brush.faces(wall.quads(rectangles), [palette[t] for t in tone], BUILDING)
    else:
        for x, top, tall in stains:
            rectangle = (x * wall.length, wall.height * (1 - 0.7 * tall), x * wall.length + 0.25, wall.height * top)
            if rectangle[3] > rectangle[1]:
                brush.face(wall.quads([rectangle])[0], shade(style.wall * 0.94, wall.normal, depth), BUILDING)


def glass(brush: Brush, depth: float, rng: np.random.Generator) -> Colour:
    """The colour of a window pane: dark inside, some sky in it, now and then lamp light."""
    light = brush.light
    mirror, lamp = rng.uniform(0.02, 0.62) ** 1.3, rng.random()
    lit = np.array([0.13, 0.14, 0.15]) * light.ambient + mirror * light.horizon
    if light.dusk and lamp < 0.3:
        lit = np.array([0.95, 0.78, 0.42]) * (0.5 + lamp)
    return light.through_haze(lit, depth)


def paint_windows(brush: Brush, wall: Wall, openings: list, style: Style, rng: np.random.Generator) -> None:
    """Draw windows: reveal, frame, panes, glazing bars and sill; fewer parts far away."""
    if not openings:
        return
    r = np.array(openings)
    depth = brush.depth(wall.middle)
    scale = brush.camera.focal / max(depth - wall.length / 2 * abs(wall.along[2]), 2.0)
    panes = [glass(brush, depth, rng) for _ in range(8)]
    mix = rng.integers(0, 8, (2, len(r)))
    bars = rng.random() < 0.8
    trim = brush.light.shade(style.trim, wall.normal, depth)
    if scale > 6:
        sills = np.stack([r[:, 0] - 0.1, r[:, 1] - 0.14, r[:, 2] + 0.1, r[:, 1]], axis=1)
        brush.faces(wall.quads(sills, 0.06), [trim] * len(r), BUILDING)
        lintels = np.stack([r[:, 0] - 0.08, r[:, 3], r[:, 2] + 0.08, r[:, 3] + 0.16], axis=1)
        tone = brush.light.shade(style.wall * 0.8, wall.normal, depth)
        brush.faces(wall.quads(lintels), [tone] * len(r), BUILDING)
        brush.faces(wall.quads(r), [trim] * len(r), BUILDING)
        r = r + np.array([0.07, 0.07, -0.07, -0.07])
    brush.faces(wall.quads(r), [panes[i] for i in mix[0]], BUILDING)
    if scale > 9:
        half = r.copy()
        half[:, 1] = (r[:, 1] + r[:, 3]) / 2
        brush.faces(wall.quads(half), [panes[i] for i in mix[1]], BUILDING)
        if bars:
            centre, rail = (r[:, 0] + r[:, 2]) / 2, (r[:, 1] + r[:, 3]) / 2
            uprights = np.stack([centre - 0.03, r[:, 1], centre + 0.03, r[:, 3]], axis=1)
            rails = np.stack([r[:, 0], rail - 0.03, r[:, 2], rail + 0.03], axis=1)
            brush.faces(wall.quads(np.concatenate([uprights, rails])), [trim] * (2 * len(r)), BUILDING)


def paint_doors(
    brush: Brush, wall: Wall, lefts: np.ndarray, sill: float, style: Style, rng: np.random.Generator
) -> None:
    """Draw a ground floor of dwelling houses: a door every few windows."""
    every, first = int(rng.integers(2, 5)), int(rng.integers(0, 2))
    depth = brush.depth(wall.middle)
    windows = [
        (x, sill, x + style.window[0], sill + style.window[1]) for i, x in enumerate(lefts) if i % every != first
    ]
    paint_windows(brush, wall, windows, style, rng)
    colours = np.array(
        [(0.45, 0.10, 0.10), (0.10, 0.22, 0.14), (0.10, 0.14, 0.30), (0.12, 0.12, 0.12), (0.75, 0.74, 0.7)]
    )
    for x in lefts[first::every]:
        door = brush.light.shade(colours[int(rng.integers(len(colours)))], wall.normal, depth)
        trim = brush.light.shade(style.trim, wall.normal, depth)
        parts = [(x - 0.12, 0, x + 1.07, 2.65), (x, 0.1, x + 0.95, 2.1), (x, 2.18, x + 0.95, 2.5)]
        parts += [(x + 0.15, 1.2, x + 0.8, 1.9), (x - 0.2, 0, x + 1.15, 0.16)]
        dark = brush.light.shade(np.array([0.06, 0.06, 0.07]), wall.normal, depth)
        step = brush.light.shade(np.array([0.6, 0.59, 0.56]), wall.normal, depth)
        brush.faces(wall.quads(parts, 0.02), [trim, door, glass(brush, depth, rng), dark, step], BUILDING)


def paint_shops(brush: Brush, wall: Wall, style: Style, rng: np.random.Generator) -> None:
    """Draw a row of shops: panes with goods, a door, a fascia with lettering, now and then an awning or a hung sign."""
    edges = np.linspace(0, wall.length, max(1, round(wall.length / rng.uniform(4.5, 7.5))) + 1)
    for left, right in pairwise(edges):
        paint_shop(brush, wall, left + 0.2, right - 0.2, style, rng)


def paint_shop(brush: Brush, wall: Wall, left: float, right: float, style: Style, rng: np.random.Generator) -> None:
    """Draw one shop between two places on the wall."""
    depth = brush.depth(wall.start + wall.along * ((left + right) / 2))
    hue = rng.uniform(0.08, 0.75, 3) if rng.random() < 0.6 else np.full(3, rng.uniform(0.1, 0.8))
    fascia = brush.light.shade(hue, wall.normal, depth)
    letter = brush.light.shade(np.full(3, 0.9 if hue.mean() < 0.45 else 0.1), wall.normal, depth)
    top = style.storey - 0.15
    door = left + (right - left) * rng.choice([0.05, 0.4, 0.75])
    parts = [(left, 0, right, top), (left + 0.15, 0.55, right - 0.15, top - 0.75), (door, 0.05, door + 1.0, top - 0.75)]
    pane = glass(brush, depth, rng)
    brush.faces(wall.quads(parts, 0.03), [fascia, pane, glass(brush, depth, rng)], BUILDING)
    goods = []
    colours = []
    for x in np.arange(left + 0.3, right - 0.6, 0.45):
        if not door - 0.4 < x < door + 1.0:
            goods.append((x, 0.6, x + 0.35, 0.6 + rng.uniform(0.2, 1.1)))
            colours.append(brush.light.shade(rng.uniform(0.1, 0.7, 3), None, depth))
    brush.faces(wall.quads(goods, 0.03), colours, BUILDING)
    mullions = [(x - 0.04, 0.5, x + 0.04, top - 0.7) for x in (left + 0.15, door, door + 1.0, right - 0.15)]
    brush.faces(wall.quads(mullions, 0.05), [fascia] * 4, BUILDING)
    x, end = left + rng.uniform(0.4, 1.0), right - 0.6
    letters = []
    while x < end:
        width = rng.uniform(0.12, 0.3)
        if rng.random() < 0.85:
            letters.append((x, top - 0.5, x + width, top - 0.5 + rng.uniform(0.2, 0.34)))
        x += width + 0.07
    brush.faces(wall.quads(letters, 0.06), [letter] * len(letters), BUILDING)
    if rng.random() < 0.22:
        paint_awning(brush, wall, left, right, top - 0.6, hue, depth)
    if rng.random() < 0.3:
        paint_hung_sign(brush, wall, right, top + rng.uniform(0.3, 1.2), rng)


def paint_awning(
    brush: Brush, wall: Wall, left: float, right: float, top: float, albedo: np.ndarray, depth: float
) -> None:
    """Draw a striped awning over a shop window."""
    stripes = np.arange(left, right - 0.3, 0.5)
    for i, x in enumerate(stripes):
        upper = wall.quads([(x, top, x + 0.5, top)], 0.05)[0][:2]
        lower = wall.quads([(x, top - 0.5, x + 0.5, top - 0.5)], 1.0)[0][:2]
        colour = albedo if i % 2 else np.array([0.85, 0.84, 0.8])
        brush.face(np.concatenate([upper, lower[::-1]]), brush.light.shade(colour, UP, depth), BUILDING)


def paint_hung_sign(brush: Brush, wall: Wall, s: float, y: float, rng: np.random.Generator) -> None:
    """Draw a board that sticks out from the wall on a bracket."""
    foot = wall.start + wall.along * s + UP * y
    depth = brush.depth(foot)
    bar = brush.light.shade(np.array([0.12, 0.12, 0.12]), None, depth)
    tall, wide = rng.uniform(0.6, 1.1), rng.uniform(0.5, 0.8)
    brush.stroke(foot + UP * tall, foot + UP * tall + wall.normal * (wide + 0.2), 0.03, bar, BUILDING)
    board = np.array(
        [foot + wall.normal * (0.15 + a * wide) + UP * b * tall for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))]
    )
    albedo = rng.uniform(0.1, 0.8, 3)
    brush.face(board, brush.light.shade(albedo, -wall.along, depth), SIGN)
    inner = board.mean(axis=0) + (board - board.mean(axis=0)) * np.array([0.7, 0.25, 0.7])
    brush.face(inner, brush.light.shade(np.where(albedo < 0.45, 0.9, 0.1), -wall.along, depth), SIGN)
