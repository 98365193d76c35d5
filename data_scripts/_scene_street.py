"""The plan of a painted street: where its road, pavements, junction and plots lie, in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEFT, RIGHT = -1, 1
FAR = 130.0
"""The street ends after this many metres."""


@dataclass(frozen=True)
class Junction:
    """A crossing street: where, how wide, to which sides, and whether our own road ends there."""

    z: float
    half_width: float
    open_sides: tuple[int, ...]
    ends_road: bool

    def covers(self, side: int, z: np.ndarray | float) -> np.ndarray | bool:
        """Whether plots on this side at distance z would stand in the crossing street (pavements included)."""
        return (abs(z - self.z) < self.half_width + 2.0) & (side in self.open_sides)


@dataclass(frozen=True)
class Street:
    """A road along z that bends, with a pavement on each side; index 0 is the left side, 1 the right."""

    half_road: float
    pavement: tuple[float, float]
    setback: tuple[float, float]
    grass: tuple[bool, bool]
    bend: float
    junction: Junction | None

    def centre(self, z: np.ndarray | float) -> np.ndarray | float:
        """x of the road's middle at distance z."""
        ahead = np.clip(z, 0, FAR)
        return 0.5 * self.bend * ahead**2

    def at(self, lateral: float, z: float) -> np.ndarray:
        """The ground point `lateral` metres right of the road's middle at distance z."""
        return np.array([lateral + self.centre(z), 0.0, z])

    def kerb(self, side: int) -> float:
        """Lateral position of a side's kerb."""
        return side * self.half_road

    def plot(self, side: int) -> float:
        """Lateral position at which a side's pavement ends."""
        return side * (self.half_road + self.pavement[side > 0])

    def front(self, side: int) -> float:
        """Lateral position of a side's house fronts."""
        return self.plot(side) + side * self.setback[side > 0]

    def end(self) -> float:
        """Distance at which our own road ends."""
        if self.junction is not None and self.junction.ends_road:
            return self.junction.z + self.junction.half_width
        return FAR

    def heading(self, z: float) -> float:
        """Direction of the road at distance z, radians to the right of z."""
        return float(np.arctan(self.bend * np.clip(z, 0, FAR)))
