"""The wipe's drawing: what is left and right of the line, what is written, and what the error's colours mean."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from course_utils.experiments.photographs import photograph
from course_utils.plots.rendering import render_png
from course_utils.plots.restoration import FULL_COLOUR, LONGEST_NAME, Judged, WipeFigure, gain, judge, wipe_figure
from course_utils.restoration import LowerResolution

ORIGINAL = photograph("chelsea")[:, 40:184, 80:224] / 255
DAMAGED = LowerResolution(3)(ORIGINAL[None])[0]
RESTORED = (DAMAGED * 0.9 + 0.05).clamp(0, 1)


def to_bytes(picture):
    return (picture.permute(1, 2, 0) * 255).round().byte().numpy()


def shown(figure):
    """Wiped picture, original and error as the figure holds them."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes[:3]]


@pytest.mark.parametrize("wipe", [0, 0.05, 0.5, 0.65, 1])
def test_left_of_the_line_is_the_damaged_picture_and_right_of_it_the_restored_one(wipe):
    figure = wipe_figure(ORIGINAL, DAMAGED, RESTORED, "mine", wipe)
    wiped, original, _ = shown(figure)
    border = round(wipe * 144)
    assert np.array_equal(wiped[:, :border], to_bytes(DAMAGED)[:, :border])
    assert np.array_equal(wiped[:, border:], to_bytes(RESTORED)[:, border:])
    assert np.array_equal(original, to_bytes(ORIGINAL))
    assert figure.axes[0].lines[0].get_xdata() == pytest.approx([border / 144] * 2)


@pytest.mark.parametrize("side", [144, 96, 60])
def test_on_the_screen_a_pixel_is_a_square_of_whole_pixels(side):
    cut = [picture[:, :side, :side] for picture in (ORIGINAL, DAMAGED, RESTORED)]
    screen = np.array(Image.open(io.BytesIO(render_png(wipe_figure(*cut, "mine", 0), 960))))
    times = 432 // side
    whole = np.kron(to_bytes(cut[2]), np.ones((times, times, 1), np.uint8))
    wiped = screen[48 : 48 + side * times, 20 : 20 + side * times]
    assert np.array_equal(wiped[:, 4:], whole[:, 4:])  # the line is at the left edge


def test_titles_hold_scikit_images_psnr_and_the_gain_is_their_difference():
    figure = wipe_figure(ORIGINAL, DAMAGED, RESTORED, "mine")
    values = [
        round(peak_signal_noise_ratio(ORIGINAL.numpy(), picture.numpy(), data_range=1), 2)
        for picture in (DAMAGED, RESTORED)
    ]
    written = " | ".join(text.get_text() for text in figure.texts)
    for value in values:
        assert f"PSNR {value:.2f} dB" in written
    assert f"gain {values[1] - values[0]:+.2f} dB".replace("-", "−") in written


def test_the_error_is_black_where_nothing_is_wrong_and_brightest_from_full_colour_on():
    wrong = ORIGINAL * 0.5
    wrong[:, :, :48] += 2 * FULL_COLOUR
    wrong[:, :, 48:96] += FULL_COLOUR / 2
    *_, error = shown(wipe_figure(ORIGINAL * 0.5, DAMAGED * 0.5, wrong, "mine"))
    most, half, none = (error[:, left : left + 48].astype(int).sum(2) for left in (0, 48, 96))
    assert none.max() < 30 and most.min() > 500 and 100 < half.min() <= half.max() < most.min()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (20.004, 21.006, "gain +1.01 dB"),
        (20.0, 19.5, "gain −0.50 dB"),
        (math.inf, math.inf, "nothing to gain"),
        (math.inf, 20.0, "nothing to gain"),
        (20.0, math.inf, "no error left"),
    ],
)
def test_gain_in_words(before, after, words):
    assert gain(*(Judged(ORIGINAL, value, 0.5) for value in (before, after))) == words


def test_what_equals_the_original_says_so_and_out_of_range_is_cut_off():
    assert judge(ORIGINAL, ORIGINAL).verdict == "equal to the original"
    assert judge(torch.full((3, 16, 16), 1.5), torch.ones(3, 16, 16)).psnr == math.inf
    assert wipe_figure(ORIGINAL, ORIGINAL, ORIGINAL, "mine").texts


@pytest.mark.parametrize(
    "name", ["U-Net", "FEATURE LOSS, VGG-16, 40 EPOCHS", "two words $of_math$", "pixel loss, 300 steps!"]
)
def test_no_text_leaves_the_figure_or_meets_another(name):
    drawn = WipeFigure()
    drawn.update(ORIGINAL, judge(DAMAGED, ORIGINAL), judge(RESTORED, ORIGINAL), name)
    render_png(drawn.figure, 960)
    boxes = [text.get_window_extent() for text in drawn.figure.texts]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= 960 and box.y0 >= 0 and box.y1 <= drawn.figure.bbox.height
        assert not any(box.overlaps(other) for other in boxes[i + 1 :]), name
    written = [text.get_text() for text in drawn.figure.texts]
    assert (name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…") in written


def test_one_figure_is_kept_and_the_pictures_are_untouched():
    drawn, copies = WipeFigure(), [picture.clone() for picture in (ORIGINAL, DAMAGED, RESTORED)]
    pair = judge(DAMAGED, ORIGINAL), judge(RESTORED, ORIGINAL)
    artists = {id(artist) for artist in drawn.figure.findobj()}
    assert drawn.update(ORIGINAL, *pair, "mine", 0.2) is drawn.update(ORIGINAL, *pair, "mine", 0.8)
    assert {id(artist) for artist in drawn.figure.findobj()} == artists
    for picture, copy in zip((ORIGINAL, DAMAGED, RESTORED), copies, strict=True):
        assert torch.equal(picture, copy)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wipe_figure(*[ORIGINAL[:, :, :60]] * 3, "mine"), r"\(3, 144, 60\) is not square"),
        (lambda: wipe_figure(*[ORIGINAL[:1]] * 3, "mine"), "in colour"),
        (lambda: wipe_figure(ORIGINAL, DAMAGED[:, :96, :96], RESTORED, "mine"), r"\(1, 3, 96, 96\).*of one shape"),
        (lambda: wipe_figure(ORIGINAL, DAMAGED, RESTORED, "mine", 50), "wipe=50"),
        (lambda: wipe_figure(ORIGINAL, DAMAGED, RESTORED * math.nan, "mine"), "not finite"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
