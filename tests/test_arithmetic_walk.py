"""Both walks through a transposed convolution end at torch's result, and every step says what it did."""

import itertools
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_utils.experiments.arithmetic_walk import INPUT, INSERTED, WALKS, Geometry, take_step

OUTPUT_WALK, INPUT_WALK = WALKS
SETTINGS = list(itertools.product(range(1, 5), range(1, 5), (1, 2, 3), range(5), (0, 1, 2), (1, 2)))


def possible():
    for setting in SETTINGS:
        try:
            yield Geometry(*setting)
        except ValueError:
            continue


GEOMETRIES = list(possible())


def by_torch(geometry, x=None, w=None):
    x = torch.tensor(geometry.input if x is None else x, dtype=torch.float64)
    w = torch.tensor(geometry.kernel if w is None else w, dtype=torch.float64)
    g = geometry
    return F.conv_transpose2d(
        x[None, None], w[None, None], None, g.stride, g.padding, g.output_padding, 1, g.dilation
    ).numpy()[0, 0]


def inside(geometry, values):
    kept = slice(geometry.padding, geometry.padding + geometry.side)
    return values[kept, kept]


def test_there_are_possible_and_impossible_settings():
    assert 400 < len(GEOMETRIES) < len(SETTINGS) - 400


@pytest.mark.parametrize("walk", WALKS)
def test_the_last_step_has_written_what_torch_writes(walk):
    for geometry in GEOMETRIES:
        state = take_step(geometry, walk, geometry.steps(walk) - 1)
        np.testing.assert_array_equal(inside(geometry, state.written), by_torch(geometry))
        np.testing.assert_array_equal(inside(geometry, state.counts), geometry.counts)


def test_the_kernel_over_the_gather_grid_gives_what_torch_gives():
    for geometry in GEOMETRIES:
        grid, kinds = geometry.gather_grid()
        turned = torch.tensor(geometry.kernel[::-1, ::-1].copy(), dtype=torch.float64)
        padded = torch.tensor(grid, dtype=torch.float64)
        output = F.conv2d(padded[None, None], turned[None, None], dilation=geometry.dilation)[0, 0]
        np.testing.assert_array_equal(output.numpy(), by_torch(geometry))
        assert ((grid > 0) == (kinds == INPUT)).all()
        if geometry.ring >= 0:
            core = (geometry.n - 1) * geometry.stride + 1
            assert (kinds == INPUT).sum() == geometry.n**2
            assert (kinds == INSERTED).sum() == core**2 - geometry.n**2
            assert len(grid) == core + 2 * geometry.ring + geometry.output_padding


def test_each_output_step_sums_the_window_it_frames():
    zeros_seen = 0
    for geometry in GEOMETRIES[::3]:
        expected = by_torch(geometry)
        grid, _ = geometry.gather_grid()
        for step in {0, geometry.side, geometry.side**2 // 2, geometry.side**2 - 1}:
            if step >= geometry.side**2:
                continue
            state = take_step(geometry, OUTPUT_WALK, step)
            place = divmod(step, geometry.side)
            total = sum(grid[cell] * weight for cell, weight in state.read_weights.items())
            assert total == expected[place]
            assert state.sum.startswith(f"output[{place[0]}, {place[1]}] = ")
            terms = [int(a) * int(b) for a, b in re.findall(r"(\d+)·(\d+)", state.sum)]
            assert sum(terms) == total
            assert len(terms) == geometry.counts[place] == state.inputs.sum() == state.weights.sum()
            zeros = geometry.kernel_size**2 - len(terms)
            assert (f"{zeros} of {geometry.kernel_size**2} products" in state.sum) == (zeros > 0 and bool(terms))
            assert state.window.sum() == len(state.read_weights) == geometry.kernel_size**2
            assert state.taps.sum() == 1 and inside(geometry, state.taps)[place]
            assert state.shown.sum() == step + 1
            zeros_seen += not terms
    assert zeros_seen > 10, "no output pixel without an input was among them"


def test_each_input_step_adds_one_stamp():
    for geometry in GEOMETRIES[::5]:
        before = np.zeros((geometry.side + 2 * geometry.padding,) * 2, dtype=int)
        for step, value in enumerate(geometry.input.flat):
            state = take_step(geometry, INPUT_WALK, step)
            alone = np.where(geometry.input == value, value, 0)
            added = inside(geometry, state.written - before)
            np.testing.assert_array_equal(added, by_torch(geometry, x=alone))
            assert state.taps.sum() == geometry.kernel_size**2
            lost = geometry.kernel_size**2 - inside(geometry, state.taps).sum()
            assert ("padding cuts off" in state.sum) == bool(lost)
            assert (state.inputs == (alone > 0)).all()
            grid, _ = geometry.gather_grid()
            assert (grid[state.window] == value).all()
            before = state.written


def test_the_lectures_drawing_in_words():
    geometry = Geometry()
    assert geometry.formula().endswith("= (2 - 1)·2 - 2·0 + 1·(3 - 1) + 0 + 1 = 5")
    middle = take_step(geometry, OUTPUT_WALK, 12)
    assert middle.title == "4 stamps meet here"
    assert middle.sum == "output[2, 2] = 1·9 + 2·7 + 3·3 + 4·1 = 36 (5 of 9 products are zero)"
    corner = take_step(geometry, OUTPUT_WALK, 0)
    assert corner.title == "one stamp gets here"
    assert corner.sum == "output[0, 0] = 1·1 = 1 (8 of 9 products are zero)"
    second = take_step(Geometry(padding=1), INPUT_WALK, 1)
    assert second.title == "stamp 2 of 4 lands"
    assert second.sum == "input[0, 1] = 2 adds 2·1, 2·2, 2·3, 2·4, 2·5, 2·6, 2·7, 2·8, 2·9; padding cuts off 5 of the 9"


def test_a_pixel_that_nothing_reaches():
    state = take_step(Geometry(n=2, kernel_size=1, stride=2), OUTPUT_WALK, 1)
    assert (state.title, state.sum) == ("no stamp gets here", "output[0, 1] = 0: no input pixel reaches it")


def test_impossible_geometry_is_refused():
    with pytest.raises(ValueError, match="output_padding=2"):
        Geometry(output_padding=2)
    with pytest.raises(ValueError, match=r"padding=4 .* nothing is left"):
        Geometry(padding=4)


def test_a_step_that_does_not_exist_is_refused():
    for step in (-1, 4):
        with pytest.raises(ValueError, match=f"step={step} is not from 0 to 3"):
            take_step(Geometry(), WALKS[1], step)
