"""The upsampling comparer without a front end: every control moves it, and it takes any picture."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.experiments.enlargement import SCHEMES
from course_utils.plots.comparer import VIEWS, ZOOMS
from course_utils.widgets.comparer import FACTORS, PICTURES, YOURS, UpsamplingComparer, square


@pytest.fixture
def comparer():
    return UpsamplingComparer()


def upload(content, name="mine.png"):
    now = datetime.now(UTC)
    return ({"name": name, "content": memoryview(content), "type": "", "size": len(content), "last_modified": now},)


def png(height, width):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def test_every_control_changes_the_picture(comparer):
    moves = [
        {"picture": "coffee"},
        {"first": "bicubic"},
        {"second": "zeros between"},
        {"factor": 3},
        {"zoom": 8},
        {"x": 20},
        {"y": 90},
        {"view": "wipe"},
        {"wipe": 80},
        {"upload": upload(png(60, 90))},
    ]
    assert {name for move in moves for name in move} == set(comparer.controls)
    for move in moves:
        before = comparer.png
        comparer.set(**move)
        assert comparer.png != before, move


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("picture", [*PICTURES, YOURS])
def test_every_picture_draws_at_every_factor_and_view(comparer, picture, factor):
    comparer.set(picture=picture, factor=factor)
    for view in VIEWS:
        for zoom in (ZOOMS[0], ZOOMS[-1]):
            comparer.set(view=view, zoom=zoom)
            assert f"enlarged {factor} times. nearest: PSNR " in comparer.sentence
    assert ("chelsea" if picture == YOURS else picture) in comparer.sentence


def test_every_scheme_is_measured(comparer):
    for name in SCHEMES:
        comparer.set(second=name)
        assert f"; {name}: PSNR " in comparer.sentence


def test_an_upload_is_shown_at_once_and_another_replaces_it(comparer):
    comparer.set(upload=upload(png(50, 70)))
    assert comparer.controls["picture"].value == YOURS
    assert comparer.sentence.startswith("yours, 48 × 48, reduced to 24 × 24")
    comparer.set(upload=upload(png(500, 600)))
    assert comparer.sentence.startswith("yours, 288 × 288")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"no picture", "notes.txt is not a picture"), (png(15, 90), "90 × 15 pixels is too small")]
)
def test_a_file_that_does_not_fit_is_explained_and_the_comparer_goes_on(comparer, content, reason):
    comparer.set(upload=upload(content, "notes.txt"))
    assert reason in comparer.sentence and "chelsea is shown instead" in comparer.sentence
    comparer.set(picture="coffee")
    assert comparer.sentence.startswith("coffee")


def test_a_scheme_of_ones_own_is_compared():
    own = {"own": lambda x, factor: x.repeat_interleave(factor, 1).repeat_interleave(factor, 2)}
    comparer = UpsamplingComparer({**SCHEMES, **own})
    comparer.set(first="own", second="nearest")
    first, second = comparer.sentence.split(". ")[1].split("; ")
    assert first.split(",")[0].removeprefix("own") == second.split(",")[0].removeprefix("nearest")


def test_a_picture_is_enlarged_once_only(comparer, monkeypatch):
    comparer.set(view="wipe")
    monkeypatch.setattr("course_utils.widgets.comparer.enlarge_again", lambda *a: pytest.fail("made again"))
    comparer.set(zoom=2, x=30)
    comparer.set(view="spectrum")


def test_squares_are_cut_from_the_middle_and_fit_every_factor():
    picture = torch.arange(3 * 50 * 70, dtype=torch.float).reshape(3, 50, 70).remainder(256).byte()
    cut = square(picture)
    assert cut.shape == (3, 48, 48) and cut.dtype == torch.float32
    assert torch.equal((cut * 255).round().byte(), picture[:, 1:49, 11:59])
