"""One painted street scene from beginning to end: plan the street, set things along it, paint from far to near."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from course_utils.classes import VOID
from data_scripts._scene_brush import UP, Brush
from data_scripts._scene_buildings import BUILDING, paint_building
from data_scripts._scene_camera import Camera
from data_scripts._scene_cars import Vehicle
from data_scripts._scene_furniture import (
    paint_beacon,
    paint_bin,
    paint_bollard,
    paint_fence,
    paint_lamp_post,
    paint_sign,
    paint_traffic_light,
)
from data_scripts._scene_ground import TREE, Shadows, paint_ground, paint_sky
from data_scripts._scene_lens import develop
from data_scripts._scene_light import choose_light
from data_scripts._scene_noise import smooth_noise
from data_scripts._scene_people import paint_bicyclist, paint_parked_bicycle, paint_pedestrian
from data_scripts._scene_plants import paint_hedge, paint_tree
from data_scripts._scene_street import FAR, LEFT, RIGHT, Junction, Street

THEMES = ("town", "houses", "park", "works")
CANVAS_HEIGHT = 360
"""The canvas is at least this high, so that small pictures are averaged from as many details as large ones."""


def paint_scene(seed: int | tuple[int, ...], height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Paint one street scene.

    Args:
        seed: an integer of 0 or more, or several; the same seed gives the same scene, at any size.
        height, width: size in pixels, 32 or more.

    Returns:
        The picture, uint8 (height, width, 3), and its mask of class codes, uint8 (height, width).

    Raises:
        ValueError: if a side is smaller than 32 pixels.
    """
    if min(height, width) < 32:
        raise ValueError(
            f"a scene of {height}x{width} pixels is too small to show a street: use 32 or more for each side"
        )
    plan, light_rng, things_rng, lens_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4))
    scale = max(2, math.ceil(CANVAS_HEIGHT / height))
    street, themes = choose_street(plan)
    camera = choose_camera(plan, street, height * scale, width * scale)
    brush = Brush(camera, choose_light(light_rng))
    paint_sky(brush, light_rng)
    scene = Scene(brush, street, themes, things_rng)
    scene.place_everything()
    scene.paint(light_rng)
    return develop(brush.canvas, height, width, lens_rng)


def choose_street(rng: np.random.Generator) -> tuple[Street, tuple[str, str]]:
    """Draw a street plan and the kind of neighbourhood on either side of it."""
    themes = tuple(str(t) for t in rng.choice(THEMES, 2, p=[0.42, 0.27, 0.19, 0.12]))
    junction = None
    kind = rng.choice(["straight", "side street", "crossroads", "end"], p=[0.42, 0.23, 0.15, 0.2])
    z, half = rng.uniform(13, 42), rng.uniform(3.0, 5.5)
    if kind == "side street":
        junction = Junction(z, half, (int(rng.choice([LEFT, RIGHT])),), False)
    elif kind == "crossroads":
        junction = Junction(z, half, (LEFT, RIGHT), False)
    elif kind == "end":
        junction = Junction(z, half, (LEFT, RIGHT), True)
    setback = tuple(
        {"town": 0.0, "houses": rng.uniform(3, 7), "park": 6.0, "works": rng.uniform(2, 12)}[t] for t in themes
    )
    street = Street(
        half_road=rng.uniform(3.1, 5.2),
        pavement=(rng.uniform(1.2, 3.4), rng.uniform(1.2, 3.4)),
        setback=setback,
        grass=tuple(t in ("park", "houses") and rng.random() < 0.85 for t in themes),
        bend=0.0 if kind == "end" or rng.random() < 0.4 else rng.normal(0, 0.0045),
        junction=junction,
    )
    return street, themes


def choose_camera(rng: np.random.Generator, street: Street, height: int, width: int) -> Camera:
    """Draw where the car with the camera is: in the left lane, mostly looking ahead, at times while it turns."""
    yaw = rng.normal(0, 0.09)
    if rng.random() < 0.2:
        yaw = rng.choice([-1, 1]) * rng.uniform(0.18, 0.5)
    lateral = -street.half_road / 2 + rng.normal(0, 0.8)
    if rng.random() < 0.1:
        lateral = street.half_road / 2
    return Camera(
        height,
        width,
        eye=(lateral, rng.uniform(1.25, 1.9), 0.0),
        yaw=yaw,
        pitch=rng.normal(-0.03, 0.05),
        roll=rng.normal(0, 0.014),
        focal=rng.uniform(0.8, 1.1),
    )


class Scene:
    """Things along a street, gathered with their distance and painted from far to near."""

    def __init__(self, brush: Brush, street: Street, themes: tuple[str, str], rng: np.random.Generator) -> None:
        self.brush, self.street, self.themes, self.rng = brush, street, themes, rng
        self.shadows = Shadows(brush)
        self._things: list[tuple[float, np.ndarray, Callable[[], None]]] = []
        self._kerb_taken: list[tuple[int, float, float]] = []

    def add(self, z: float, base: np.ndarray, draw: Callable[[np.random.Generator], None]) -> None:
        """Note a thing whose far end is at distance z and that stands at `base` (3,).

        Each thing has random numbers of its own: skipping details of one never changes another.
        """
        rng = np.random.default_rng(int(self.rng.integers(2**62)))
        self._things.append((z, base, lambda: draw(rng)))

    def place_everything(self) -> None:
        """Decide what stands where."""
        for side in (LEFT, RIGHT):
            self.place_plots(side, self.themes[side > 0])
        if self.street.junction is not None:
            self.place_junction()
        self.place_cars()
        for side in (LEFT, RIGHT):
            self.place_furniture(side)
        self.place_people()

    def paint(self, rng: np.random.Generator) -> None:
        """Paint the backdrop, the ground, then every thing from far to near, then the own car's bonnet."""
        light = self.brush.light
        paint_backdrop(self.brush, rng)
        paint_ground(self.brush, self.street, self.shadows, rng)
        for _, base, draw in sorted(self._things, key=lambda thing: -thing[0]):
            self.brush.light = light.in_shadow(0.85 * self.shadows.at(base))
            draw()
        self.brush.light = light
        if rng.random() < 0.25:
            paint_bonnet(self.brush, rng)

    def place_plots(self, side: int, theme: str) -> None:
        """Fill one side of the street with houses, trees, hedges, fences and gaps."""
        rng, street = self.rng, self.street
        z = rng.uniform(-12, -4)
        end = street.end() + (2.0 if street.junction and street.junction.ends_road else 0.0)
        while z < min(end, FAR):
            length = rng.uniform(6, 15) if theme != "works" else rng.uniform(14, 30)
            junction = street.junction
            if junction is not None and side in junction.open_sides:
                low, high = junction.z - junction.half_width - 2.0, junction.z + junction.half_width + 2.0
                if z < high and z + length > low:
                    length = low - z
                    if length < 3.5:
                        z = high
                        continue
            self.place_plot(side, theme, z, z + length)
            z += length + (rng.uniform(1, 7) if rng.random() < {"town": 0.16, "houses": 0.5}.get(theme, 0.3) else 0.0)

    def place_plot(self, side: int, theme: str, near: float, far: float) -> None:
        """One plot: a house and its front garden, or a stretch of park."""
        rng, street, brush = self.rng, self.street, self.brush
        front, plot = street.front(side), street.plot(side) + 0.25 * side
        if theme == "park" or rng.random() < 0.07:
            for _ in range(int(rng.integers(1, 4))):
                self.place_tree(front + side * rng.uniform(-3, 5), rng.uniform(near, far), rng.uniform(5, 12))
            self.place_boundary(plot, near, far, tall=True)
            return
        if theme == "houses" and street.setback[side > 0] > 2.5:
            self.place_boundary(plot, near, far, tall=False)
            if rng.random() < 0.4:
                self.place_tree(plot + side * 1.8, rng.uniform(near, far), rng.uniform(3, 7))
        storeys = int(
            {"town": rng.integers(2, 5), "houses": rng.integers(2, 4), "works": rng.integers(1, 3)}.get(theme, 2)
        )
        depth = rng.uniform(7, 11)
        a, b = street.at(front, near), street.at(front, far)
        direction = (b - a) / np.linalg.norm(b - a)
        normal = np.array([direction[2], 0.0, -direction[0]]) * -side
        house = {"storeys": storeys, "depth": depth, "theme": theme if theme != "park" else "houses"}
        self.add(far, (a + b) / 2 + normal * 1.5, lambda r: paint_building(brush, a, b, normal, **house, rng=r))
        corners = np.stack([a, b, b - normal * depth, a - normal * depth])
        self.shadows.cast(np.concatenate([corners, corners + UP * storeys * 3.1]))

    def place_boundary(self, lateral: float, near: float, far: float, *, tall: bool) -> None:
        """A fence or a hedge along the back of the pavement, or nothing."""
        rng, street, brush = self.rng, self.street, self.brush
        kind = rng.choice(
            ["railing", "boards", "hedge", "none"], p=[0.3, 0.12, 0.3, 0.28] if tall else [0.12, 0.1, 0.4, 0.38]
        )
        height = rng.uniform(1.1, 2.0) if tall else rng.uniform(0.8, 1.3)
        steps = np.linspace(near, far, max(2, int((far - near) / 2.5) + 1))
        points = np.stack([street.at(lateral, z) for z in steps])
        if kind == "hedge":
            for a, b in pairwise(points):
                self.add(b[2], a, lambda r, a=a, b=b: paint_hedge(brush, a, b, height, r))
        elif kind != "none":
            style = int(rng.integers(2**31))
            for a, b in pairwise(points):
                pair = np.stack([a, b])
                self.add(b[2], a, lambda r, p=pair: paint_fence(brush, p, height, kind, np.random.default_rng(style)))

    def place_tree(self, lateral: float, z: float, height: float) -> None:
        """A tree and its shadow."""
        brush, base = self.brush, self.street.at(lateral, z)
        if brush.depth(base) < 2.5:
            return
        self.add(z, base, lambda r: paint_tree(brush, base, height, r))
        reach = height * 0.3
        crown = base + UP * height * 0.65
        turn = np.linspace(0, 2 * math.pi, 9)[:-1]
        rim = np.stack([np.cos(turn), 0.8 * np.sin(turn), 0.6 * np.cos(turn + 1.0)], axis=1) * reach
        self.shadows.cast(crown + rim, 0.75)
        self.shadows.cast(np.stack([base - 0.12 * np.array([1.0, 0, 0]), base + 0.12 * np.array([1.0, 0, 0]), crown]))

    def place_junction(self) -> None:
        """What stands in the crossing street, and across it where our own road ends."""
        rng, street = self.rng, self.street
        junction = street.junction
        beyond = junction.z + junction.half_width + 2.0
        if junction.ends_road:
            theme = str(rng.choice(THEMES, p=[0.4, 0.3, 0.2, 0.1]))
            x = -75.0 + rng.uniform(0, 6)
            z = beyond + {"town": 0.0, "houses": 4.0}.get(theme, 5.0)
            while x < 75:
                length = rng.uniform(7, 16)
                self.place_across(theme, x, x + length, z, beyond)
                x += length + (rng.uniform(1, 8) if rng.random() < 0.3 else 0.0)
        for side in junction.open_sides:
            for lateral in np.arange(street.half_road + 6, 40, 9.0):
                if rng.random() < 0.45:
                    lane = junction.z + side * junction.half_width * 0.5 * rng.choice([-1, 1])
                    self.place_vehicle(side * (lateral + rng.uniform(0, 3)), lane, math.pi / 2 * rng.choice([-1, 1]))

    def place_across(self, theme: str, left: float, right: float, z: float, edge: float) -> None:
        """One plot on the far side of the crossing street, seen from the front."""
        rng, brush = self.rng, self.brush
        if theme == "park" or rng.random() < 0.12:
            for _ in range(int(rng.integers(1, 4))):
                base = np.array([rng.uniform(left, right), 0.0, z + rng.uniform(0, 6)])
                tall = rng.uniform(5, 12)
                self.add(base[2], base, lambda r, base=base, tall=tall: paint_tree(brush, base, tall, r))
        else:
            a, b = np.array([left, 0.0, z]), np.array([right, 0.0, z])
            house = {"storeys": int(rng.integers(2, 4)), "depth": 9.0, "theme": theme}
            self.add(z + 7, a, lambda r: paint_building(brush, a, b, np.array([0.0, 0.0, -1.0]), **house, rng=r))
        if z > edge + 1:
            kind = rng.choice(["railing", "boards", "hedge", "none"], p=[0.25, 0.15, 0.3, 0.3])
            a, b = np.array([left, 0.0, edge + 0.3]), np.array([right, 0.0, edge + 0.3])
            if kind == "hedge":
                self.add(edge + 0.5, a, lambda r: paint_hedge(brush, a, b, 1.2, r))
            elif kind != "none":
                self.add(edge + 0.5, a, lambda r: paint_fence(brush, np.stack([a, b]), 1.4, kind, r))

    def place_vehicle(self, lateral: float, z: float, heading: float, kinds: tuple[float, ...] | None = None) -> None:
        """One vehicle; where another one stands already, nothing."""
        rng, brush = self.rng, self.brush
        kind = str(
            rng.choice(["hatchback", "saloon", "estate", "van", "bus"], p=kinds or (0.36, 0.25, 0.22, 0.12, 0.05))
        )
        base = self.street.at(lateral, z)
        vehicle = Vehicle(base, heading, kind, np.random.default_rng(int(rng.integers(2**62))))
        if brush.depth(base) < vehicle.model.half_length + 1.2:
            return
        self.add(z, base, lambda r: vehicle.draw(brush))
        self.shadows.cast(vehicle.corners())
        under = vehicle.corners()[::2]
        self.shadows.cast(under * np.array([1, 0, 1]) + np.array([0, 0.01, 0]), 1.0)

    def place_cars(self) -> None:
        """Parked cars along the kerbs and moving ones in both lanes."""
        rng, street = self.rng, self.street
        stop = min(street.end() - 4, 90.0)
        for side in (LEFT, RIGHT):
            density = rng.choice([0.0, 0.25, 0.8], p=[0.56, 0.28, 0.16])
            z = rng.uniform(4, 11)
            while z < stop:
                blocked = street.junction is not None and abs(z - street.junction.z) < street.junction.half_width + 4
                if rng.random() < density and not blocked:
                    facing = street.heading(z) + (math.pi if (side == RIGHT) != (rng.random() < 0.15) else 0.0)
                    self.place_vehicle(side * (street.half_road - 0.75), z, facing, (0.4, 0.26, 0.24, 0.1, 0.0))
                z += rng.uniform(5.6, 7.5)
        for side, turn in ((LEFT, 0.0), (RIGHT, math.pi)):
            z = rng.uniform(9, 45)
            while z < stop:
                self.place_vehicle(
                    side * (street.half_road * 0.47 - 0.3), z, street.heading(z) + turn + rng.normal(0, 0.03)
                )
                z += rng.uniform(12, 60)

    def place_furniture(self, side: int) -> None:
        """Lamp posts, signs, traffic lights, bollards, guard rails, bins and street trees along one kerb."""
        rng, street, brush = self.rng, self.street, self.brush
        kerb = street.kerb(side) + 0.45 * side
        stop = min(street.end(), 95.0)
        for z in np.arange(rng.uniform(3, 18), min(stop, 65.0), rng.uniform(20, 36)):
            self.place_post(kerb, float(z), lambda r, b: paint_lamp_post(brush, b, side, r), 7.0)
        for z in rng.uniform(3.5, min(stop, 45), int(rng.integers(1, 4))):
            self.place_post(kerb, float(z), lambda r, b: paint_sign(brush, b, r), 2.5)
        if street.junction is not None and rng.random() < 0.7:
            z = street.junction.z - street.junction.half_width - 0.8
            self.place_post(kerb, z, lambda r, b: paint_traffic_light(brush, b, r), 3.0)
            if not street.junction.ends_road:
                far = street.junction.z + street.junction.half_width + 0.8
                self.place_post(kerb, far, lambda r, b: paint_traffic_light(brush, b, r), 3.0)
        if rng.random() < 0.12:
            self.place_post(kerb, rng.uniform(5, 20), lambda r, b: paint_beacon(brush, b), 2.5)
        start = rng.uniform(3, 25)
        if rng.random() < 0.25:
            for z in np.arange(start, min(start + rng.uniform(5, 14), stop), rng.uniform(1.4, 2.2)):
                self.place_post(kerb, float(z), lambda r, b: paint_bollard(brush, b, r), 0.9)
        elif rng.random() < 0.25 and not (street.junction and street.junction.covers(side, start)):
            points = np.stack([street.at(kerb, z) for z in np.arange(start, start + rng.uniform(5, 14), 2.2)])
            for pair in map(np.array, pairwise(points)):
                self.add(pair[1][2], pair[0], lambda r, p=pair: paint_fence(brush, p, 1.05, "guard", r))
        back = street.plot(side) - 0.6 * side
        for z in rng.uniform(4, 40, int(rng.integers(0, 4))):
            self.place_post(back, float(z), lambda r, b: paint_bin(brush, b, r), 1.1)
        if rng.random() < 0.25:
            z = rng.uniform(5, 20)
            self.place_post(back, z, lambda r, b: paint_parked_bicycle(brush, b, street.heading(z), r), 1.0)
        if street.pavement[side > 0] > 1.8 and rng.random() < 0.35:
            for z in np.arange(rng.uniform(6, 14), stop, rng.uniform(8, 18)):
                if not (street.junction and street.junction.covers(side, z)):
                    self.place_tree(kerb + side * 0.4, float(z), rng.uniform(4.5, 8))

    def place_post(
        self, lateral: float, z: float, draw: Callable[[np.random.Generator, np.ndarray], None], height: float
    ) -> None:
        """Something slim that stands on the pavement, and its thin shadow."""
        side = RIGHT if lateral > 0 else LEFT
        junction = self.street.junction
        inside = junction is not None and side in junction.open_sides and abs(z - junction.z) < junction.half_width
        base = self.street.at(lateral, z)
        if inside or self.brush.depth(base) < 3.5:
            return
        self.add(z, base, lambda r: draw(r, base))
        foot = np.array([0.06, 0.0, 0.0])
        self.shadows.cast(np.stack([base - foot, base + foot, base + UP * height]))

    def place_people(self) -> None:
        """Pedestrians on the pavements and crossing, bicyclists at the edge of the road."""
        rng, street = self.rng, self.street
        for _ in range(int(rng.integers(1, 9))):
            z = 5 + 38 * rng.random() ** 1.3
            side = int(rng.choice([LEFT, RIGHT]))
            if rng.random() < 0.12:
                lateral, heading = rng.uniform(-3, 3), math.pi / 2 * rng.choice([-1, 1])
            else:
                width = street.pavement[side > 0]
                lateral = side * (street.half_road + rng.uniform(0.4, max(0.6, width - 0.3)))
                heading = (
                    street.heading(z) + rng.choice([0, math.pi, math.pi / 2], p=[0.42, 0.42, 0.16]) + rng.normal(0, 0.3)
                )
            group = 1 + (rng.random() < 0.25)
            for i in range(group):
                self.place_figure(lateral + 0.55 * i, z + 0.2 * i, heading, paint_pedestrian)
        if rng.random() < 0.5:
            for _ in range(1 + (rng.random() < 0.3)):
                side = int(rng.choice([LEFT, RIGHT], p=[0.65, 0.35]))
                z = rng.uniform(5.5, 24)
                heading = street.heading(z) + (0.0 if side == LEFT else math.pi) + rng.normal(0, 0.25)
                if rng.random() < 0.25:
                    heading = math.pi / 2 * rng.choice([-1, 1])
                self.place_figure(side * (street.half_road - 1.1), z, heading, paint_bicyclist)

    def place_figure(self, lateral: float, z: float, heading: float, paint: Callable) -> None:
        """A person and a shadow."""
        brush, base = self.brush, self.street.at(lateral, z)
        if brush.depth(base) < 3.0:
            return
        self.add(z, base, lambda r: paint(brush, base, heading, r))
        wide = np.array([0.2, 0.0, 0.0])
        self.shadows.cast(np.stack([base - wide, base + wide, base + wide + UP * 1.6, base - wide + UP * 1.6]))


def paint_backdrop(brush: Brush, rng: np.random.Generator) -> None:
    """Draw what closes the view: wooded hills, far roofs, at times a tower, unlabelled clutter at the horizon."""
    light, far = brush.light, FAR + 40
    bearings = np.linspace(-1.3, 1.3, 81)
    for label, albedo, height in (
        (TREE, (0.24, 0.29, 0.18), rng.uniform(5, 14)),
        (BUILDING, (0.45, 0.42, 0.4), rng.uniform(2, 9)),
    ):
        profile = smooth_noise(rng, 1, 81, 1, int(rng.integers(8, 22)))[0] * height * 0.45 + height
        if label == BUILDING:
            profile = np.repeat(rng.uniform(-2, height, 27), 3)
        colour = light.shade(np.array(albedo), None, far * 0.8)
        for i in range(80):
            if profile[i] > 0:
                a, b = (np.array([far * math.sin(t), 0.0, far * math.cos(t)]) for t in bearings[i : i + 2])
                top = profile[i + 1] if label == TREE else profile[i]
                brush.face(np.stack([a, b, b + UP * max(top, 0.5), a + UP * profile[i]]), colour, label)
    if rng.random() < 0.2:
        bearing = rng.uniform(-0.4, 0.4)
        foot = np.array([far * math.sin(bearing), 0.0, far * math.cos(bearing)])
        right = np.array([math.cos(bearing), 0.0, -math.sin(bearing)]) * rng.uniform(4, 7)
        tall = UP * rng.uniform(25, 40)
        colour = light.shade(np.array([0.5, 0.48, 0.44]), None, far * 0.7)
        brush.face(np.stack([foot - right, foot + right, foot + right + tall, foot - right + tall]), colour, BUILDING)
        for share in (-1, 1):
            corner = foot + right * share * 0.8 + tall
            brush.face(np.stack([corner - right * 0.2, corner + right * 0.2, corner + tall * 0.3]), colour, BUILDING)
    if rng.random() < 0.6:
        for _ in range(int(rng.integers(4, 12))):
            bearing = rng.normal(0, 0.12)
            foot = np.array([100 * math.sin(bearing), rng.uniform(0.5, 2.5), 100 * math.cos(bearing)])
            colour = light.shade(rng.uniform(0.1, 0.4) * rng.normal(1, 0.1, 3), None, 90)
            brush.ball(foot, rng.uniform(1.0, 3.0), colour, VOID)


def paint_bonnet(brush: Brush, rng: np.random.Generator) -> None:
    """Draw the own car's bonnet along the lower edge, unlabelled."""
    height, width = brush.camera.height, brush.camera.width
    x = np.linspace(-0.05, 1.05, 24)
    top = 1 - rng.uniform(0.05, 0.13) * np.clip(1 - (2 * (x - rng.uniform(0.45, 0.6))) ** 4, 0, 1)
    tone = np.full(3, rng.choice([0.08, 0.2, 0.5])) * rng.normal(1, 0.05, 3)
    for drop, factor in ((0.0, 1.0), (0.012, 1.5), (0.02, 1.1)):
        outline = np.stack([x * width, (top + drop) * height], axis=1)
        outline = np.concatenate([outline, [[1.05 * width, 1.1 * height], [-0.05 * width, 1.1 * height]]])
        brush.flat(outline.ravel().tolist(), brush.light.shade(tone * factor, UP, 0.0), VOID)
