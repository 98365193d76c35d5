"""The photograph widget shows what it was given, takes another file, and survives one that is no picture."""

import io

import numpy as np
import pytest
from PIL import Image

from course_utils.plots.rendering import render_png
from course_utils.widgets.photograph import PhotographSegmenter


def halves(photograph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    codes = np.zeros(photograph.shape[:2], np.uint8)
    codes[:, photograph.shape[1] // 2 :] = 3
    return photograph, codes


def upload(content: bytes, name: str = "mine.png") -> tuple[dict, ...]:
    return ({"name": name, "content": memoryview(content), "size": len(content), "type": "image/png"},)


def png(height: int, width: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def widget() -> PhotographSegmenter:
    return PhotographSegmenter(halves, np.zeros((40, 60, 3), np.uint8))


@pytest.mark.parametrize("opacity", range(0, 101, 10))
def test_every_opacity_draws_and_names_the_classes(widget, opacity):
    widget.set(opacity=opacity)
    assert widget.sentence == "Covers: Sky 50.0%, Road 50.0%."


def test_another_photograph_of_another_shape_is_segmented(widget):
    before = widget.png
    _, sentence = widget.draw(upload(png(50, 30)), 70)
    assert sentence.startswith("Covers: ") and widget._panel.get_array().shape == (50, 30, 3)
    widget.set(opacity=0)
    assert widget.png != before


def test_a_file_that_is_no_picture_is_one_sentence_and_the_example_stays(widget):
    _, sentence = widget.draw(upload(b"not a picture", "notes.txt"), 70)
    assert "notes.txt is not a picture" in sentence and widget._panel.get_array().shape == (40, 60, 3)


def test_another_opacity_segments_nothing_anew_and_shows_what_a_fresh_widget_shows():
    calls = []

    def segment(photograph):
        calls.append(photograph)
        return halves(photograph)

    example = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    moved, fresh = PhotographSegmenter(segment, example), PhotographSegmenter(segment, example)
    figure = moved.figure
    pictures = set()
    for opacity in (0, 30, 100):
        moved.set(opacity=opacity)
        pictures.add(bytes(moved.png))
    fresh.set(opacity=100)
    assert moved.figure is figure and len(calls) == 2 and len(pictures) == 3
    assert moved.png == fresh.png == render_png(fresh.figure, 900)


def test_a_code_without_a_name_is_one_sentence():
    with pytest.raises(ValueError, match="segment gives code 3, and codes has 2 names"):
        PhotographSegmenter(halves, np.zeros((40, 60, 3), np.uint8), ("Sky", "Road"))
