"""Holes filled from their borders: nothing else changes, and the filling nearly solves Laplace's equation."""

import numpy as np
import pytest
import torch

from course_utils.restoration import CutOut
from course_utils.smooth_fill import fill_smoothly

PICTURES = torch.rand(3, 3, 41, 60, generator=torch.Generator().manual_seed(0))
HOLES = CutOut(3, (0.15, 0.3)).masks(3, 41, 60, seed=2)


def laplace(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Solve for the pixels of the hole, each the mean of those of its four neighbours that there are."""
    places = [tuple(place) for place in np.argwhere(hole)]
    number = {place: i for i, place in enumerate(places)}
    matrix, right = np.zeros((len(places),) * 2), np.zeros(len(places))
    for (row, column), i in number.items():
        around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        around = [(r, c) for r, c in around if 0 <= r < hole.shape[0] and 0 <= c < hole.shape[1]]
        matrix[i, i] = len(around)
        for place in around:
            if place in number:
                matrix[i, number[place]] -= 1
            else:
                right[i] += picture[place]
    solved = picture.copy()
    solved[hole] = np.linalg.solve(matrix, right)
    return solved


def test_outside_nothing_changes_and_inside_nothing_is_new():
    filled = fill_smoothly(PICTURES, HOLES)
    assert torch.equal(filled[~HOLES.expand_as(filled)], PICTURES[~HOLES.expand_as(filled)])
    assert filled.min() >= PICTURES.min() and filled.max() <= PICTURES.max()


def test_what_lies_in_the_hole_does_not_matter():
    other = torch.where(HOLES, float("nan"), PICTURES)
    assert torch.equal(fill_smoothly(other, HOLES), fill_smoothly(PICTURES, HOLES))


@pytest.mark.parametrize("height, width", [(97, 97), (100, 65), (240, 33)])
def test_a_mirrored_picture_is_filled_as_the_mirror_image(height, width):
    picture = torch.linspace(0, 1, width).expand(1, 1, height, width)
    holes = torch.zeros(1, 1, height, width, dtype=torch.bool)
    holes[..., height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
    filled = fill_smoothly(picture, holes)
    assert (filled - fill_smoothly(picture.flip(-1), holes.flip(-1)).flip(-1)).abs().max() < 0.03
    assert (filled - picture).abs().max() < 0.03


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_single_known_pixel_fills_a_large_picture(dtype):
    holes = torch.ones(1, 1, 1200, 1100, dtype=torch.bool)
    holes[..., 0, 0] = False
    picture = torch.full((1, 1, 1200, 1100), 0.8, dtype=dtype)
    assert fill_smoothly(picture, holes).dtype == dtype
    assert (fill_smoothly(picture, holes) - picture).abs().max() < 1e-2


@pytest.mark.parametrize("size", [(48, 64), (49, 65)])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_near_the_solution_of_laplaces_equation(size, seed):
    rows, columns = torch.meshgrid(*(torch.linspace(0, 1, side) for side in size), indexing="ij")
    picture = 0.5 + 0.25 * torch.sin(5 * rows + seed) + 0.25 * torch.cos(6 * columns * rows)
    hole = CutOut(2, (0.2, 0.35)).masks(1, *size, seed)
    filled = fill_smoothly(picture[None, None], hole)[0, 0]
    exact = laplace(picture.double().numpy(), hole[0, 0].numpy())
    off = np.abs(filled.numpy() - exact).max()
    as_grey = np.abs(torch.where(hole[0, 0], 0.5, picture).numpy() - exact).max()
    assert off < 0.1 * as_grey


@pytest.mark.parametrize("height, width", [(8, 256), (1, 64), (301, 7), (32, 96)])
def test_a_long_hole_in_white_becomes_white(height, width):
    holes = torch.ones(1, 1, height, width, dtype=torch.bool)
    holes[..., -1:, -1:] = False
    assert (fill_smoothly(torch.ones(1, 3, height, width), holes) > 0.999).all()


@pytest.mark.parametrize(
    "pictures, holes, message",
    [
        ((PICTURES * 255).byte(), HOLES, r"pictures are torch\.uint8 of shape \(3, 3, 41, 60\), not floats"),
        (PICTURES, HOLES.float(), r"holes are torch\.float32 of .*, not bool of shape \(3, 1, 41, 60\)"),
        (PICTURES, HOLES[:1], r"holes are torch\.bool of shape \(1, 1, 41, 60\), not bool of shape \(3, 1, 41, 60\)"),
        (PICTURES.to("meta"), HOLES, "holes are on cpu and pictures on meta; put them on one device"),
        (torch.where(HOLES, PICTURES, float("nan")), HOLES, "nan or inf outside of the holes"),
    ],
)
def test_what_cannot_be_filled_is_refused(pictures, holes, message):
    with pytest.raises(ValueError, match=message):
        fill_smoothly(pictures, holes)


def test_pictures_of_a_batch_do_not_meet():
    one_by_one = [fill_smoothly(PICTURES[i : i + 1], HOLES[i : i + 1]) for i in range(3)]
    assert torch.allclose(fill_smoothly(PICTURES, HOLES), torch.cat(one_by_one), atol=1e-6)


def test_no_hole_and_nothing_but_hole():
    nowhere, everywhere = torch.zeros_like(HOLES), torch.ones_like(HOLES)
    assert torch.equal(fill_smoothly(PICTURES, nowhere), PICTURES)
    assert (fill_smoothly(PICTURES, everywhere) == 0.5).all()


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 1, 1, 7), (0, 3, 8, 8), (1, 3, 33, 32)])
def test_any_size(shape):
    pictures = torch.rand(shape)
    holes = torch.rand(shape[0], 1, *shape[2:]) < 0.5
    filled = fill_smoothly(pictures, holes)
    assert filled.shape == shape and filled.isfinite().all()


def test_holes_cut_smoothly_are_where_the_others_are():
    grey, smooth = (CutOut(2, (0.2, 0.3), fill=fill) for fill in (0.5, "smooth"))
    where = grey.masks(3, 41, 60, seed=7).expand_as(PICTURES)
    assert torch.equal(grey(PICTURES, 7)[~where], smooth(PICTURES, 7)[~where])
    assert torch.equal(smooth(PICTURES, 7), fill_smoothly(PICTURES, where[:, :1]))
