"""One step at a time through a transposed convolution in small whole numbers: what is written where, and by whom.

The input holds 1, 2, 3, … and so does the kernel, so every product can be checked in the head.
"""

from dataclasses import dataclass

import numpy as np

from course_utils.conv_arithmetic import overlap_counts, transposed_conv_output_size, useful_fraction

WALKS = ("output pixels", "input pixels")
OUTSIDE, INSERTED, INPUT = 0, 1, 2


@dataclass(frozen=True)
class Geometry:
    """A transposed convolution of an `n` × `n` input with a square kernel.

    Raises:
        ValueError: as `transposed_conv_output_size`.
    """

    n: int = 2
    kernel_size: int = 3
    stride: int = 2
    padding: int = 0
    output_padding: int = 0
    dilation: int = 1

    def __post_init__(self) -> None:
        transposed_conv_output_size(*self._numbers)

    @property
    def _numbers(self) -> tuple[int, ...]:
        return self.n, self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation

    @property
    def side(self) -> int:
        """Side of the output."""
        return transposed_conv_output_size(*self._numbers)

    @property
    def reach(self) -> int:
        """Distance between the first and the last kernel weight along a side."""
        return self.dilation * (self.kernel_size - 1)

    @property
    def ring(self) -> int:
        """Rings of zeros around the zero-inserted input in the gather view; negative where its border is cut off."""
        return self.reach - self.padding

    @property
    def input(self) -> np.ndarray:
        return np.arange(1, self.n**2 + 1).reshape(self.n, self.n)

    @property
    def kernel(self) -> np.ndarray:
        return np.arange(1, self.kernel_size**2 + 1).reshape(self.kernel_size, self.kernel_size)

    @property
    def counts(self) -> np.ndarray:
        """Overlap counts of the whole output, ``(side, side)``."""
        return overlap_counts(self.n, *self._numbers).numpy()

    @property
    def useful_fraction(self) -> float:
        """Share of the gather view's products that touch an input pixel."""
        return useful_fraction(self.n, *self._numbers)

    def steps(self, walk: str) -> int:
        """Steps from the first to the last pixel of the walk."""
        return self.side**2 if walk == WALKS[0] else self.n**2

    def stamps(self) -> np.ndarray:
        """What each input pixel writes on the uncropped output, ``(n², F, F)`` with ``F = side + 2 * padding``."""
        full = self.side + 2 * self.padding
        stamps = np.zeros((self.n**2, full, full), dtype=int)
        for index, value in enumerate(self.input.flat):
            row, column = (self.stride * place for place in divmod(index, self.n))
            rows, columns = (slice(start, start + self.reach + 1, self.dilation) for start in (row, column))
            stamps[index, rows, columns] = value * self.kernel
        return stamps

    def gather_grid(self) -> tuple[np.ndarray, np.ndarray]:
        """The grid over which the turned kernel slides, and of what kind each cell is, both ``(G, G)``."""
        core = (self.n - 1) * self.stride + 1
        grid = np.zeros((core + 2 * self.reach + self.output_padding,) * 2, dtype=int)
        kinds = np.full(grid.shape, OUTSIDE)
        whole, spread = slice(self.reach, self.reach + core), slice(self.reach, self.reach + core, self.stride)
        kinds[whole, whole] = INSERTED
        kinds[spread, spread] = INPUT
        grid[spread, spread] = self.input
        kept = slice(self.padding, len(grid) - self.padding)
        return grid[kept, kept], kinds[kept, kept]

    def formula(self) -> str:
        """The size formula in letters, and again with the numbers in it."""
        n, k, s, p, extra, d = self._numbers
        return (
            "side = (n - 1)·stride - 2·padding + dilation·(kernel - 1) + output padding + 1"
            f" = ({n} - 1)·{s} - 2·{p} + {d}·({k} - 1) + {extra} + 1 = {self.side}"
        )


@dataclass(frozen=True)
class Step:
    """The state after one step: numbers written so far, and the cells that the step is about.

    Attributes:
        written: the uncropped output so far, ``(F, F)``.
        shown: cells of it that have been reached, ``(F, F)`` bool.
        counts: how many inputs have written to each cell of it so far, ``(F, F)``.
        taps: cells of it that the step writes, ``(F, F)`` bool.
        inputs, weights: pixels and kernel weights at work, ``(n, n)`` and ``(k, k)`` bool.
        window: cells of the gather grid that the step reads, ``(G, G)`` bool.
        read_weights: the kernel weight over each cell of a window that slides, by (row, column).
        title: the step as the scatter view sees it, in few words.
        sum: the step's products, written out.
    """

    written: np.ndarray
    shown: np.ndarray
    counts: np.ndarray
    taps: np.ndarray
    inputs: np.ndarray
    weights: np.ndarray
    window: np.ndarray
    read_weights: dict[tuple[int, int], int]
    title: str
    sum: str


def take_step(geometry: Geometry, walk: str, step: int) -> Step:
    """State after pixel number `step`, counted from 0 in reading order.

    Args:
        walk: ``"output pixels"``, each of them complete when its step is taken, or ``"input pixels"``, each of which
            adds its stamp to what is there.

    Raises:
        ValueError: if there is no such step.
    """
    if not 0 <= step < geometry.steps(walk):
        raise ValueError(f"step={step} is not from 0 to {geometry.steps(walk) - 1}.")
    return _output_step(geometry, step) if walk == WALKS[0] else _input_step(geometry, step)


def _output_step(geometry: Geometry, step: int) -> Step:
    row, column = divmod(step, geometry.side)
    stamps = geometry.stamps()
    shown, taps = np.zeros((2, *stamps.shape[1:]), dtype=bool)
    border = geometry.padding
    inside = slice(border, border + geometry.side)
    shown[inside, inside] = np.arange(geometry.side**2).reshape(geometry.side, -1) <= step
    taps[row + border, column + border] = True
    grid, _ = geometry.gather_grid()
    window = np.zeros(grid.shape, dtype=bool)
    rows, columns = (slice(start, start + geometry.reach + 1, geometry.dilation) for start in (row, column))
    window[rows, columns] = True
    values, turned = grid[rows, columns], geometry.kernel[::-1, ::-1]
    inputs = (stamps[:, row + border, column + border] > 0).reshape(geometry.n, -1)
    return Step(
        written=np.where(shown, stamps.sum(0), 0),
        shown=shown,
        counts=np.where(shown, (stamps > 0).sum(0), 0),
        taps=taps,
        inputs=inputs,
        weights=(values > 0)[::-1, ::-1],
        window=window,
        read_weights={(int(i), int(j)): int(w) for (i, j), w in zip(np.argwhere(window), turned.flat, strict=True)},
        title={0: "no stamp gets here", 1: "one stamp gets here"}.get(inputs.sum(), f"{inputs.sum()} stamps meet here"),
        sum=f"output[{row}, {column}] = {_sum_of_products(values, turned)}",
    )


def _sum_of_products(values: np.ndarray, weights: np.ndarray) -> str:
    zeros = int((values == 0).sum())
    if zeros == values.size:
        return "0: no input pixel reaches it"
    products = [f"{value}·{weight}" for value, weight in zip(values.flat, weights.flat, strict=True) if value]
    total = (values * weights).sum()
    text = f"{' + '.join(products)} = {total}"
    return f"{text} ({zeros} of {values.size} products are zero)" if zeros else text


def _input_step(geometry: Geometry, step: int) -> Step:
    row, column = divmod(step, geometry.n)
    stamps = geometry.stamps()
    _, kinds = geometry.gather_grid()
    cells = np.array([row, column]) * geometry.stride + geometry.ring
    window = np.zeros(kinds.shape, dtype=bool)
    if (cells >= 0).all() and (cells < len(kinds)).all():
        window[tuple(cells)] = True
    inputs = np.zeros((geometry.n, geometry.n), dtype=bool)
    inputs[row, column] = True
    counts = (stamps[: step + 1] > 0).sum(0)
    inside = slice(geometry.padding, geometry.padding + geometry.side)
    lost = geometry.kernel_size**2 - (stamps[step, inside, inside] > 0).sum()
    value = geometry.input[row, column]
    products = ", ".join(f"{value}·{weight}" for weight in geometry.kernel.flat)
    return Step(
        written=stamps[: step + 1].sum(0),
        shown=counts > 0,
        counts=counts,
        taps=stamps[step] > 0,
        inputs=inputs,
        weights=np.ones((geometry.kernel_size,) * 2, dtype=bool),
        window=window,
        read_weights={},
        title=f"stamp {step + 1} of {geometry.n**2} lands",
        sum=f"input[{row}, {column}] = {value} adds {products}"
        + (f"; padding cuts off {lost} of the {geometry.kernel_size**2}" if lost else ""),
    )
