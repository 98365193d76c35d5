"""The restoration wipe without a front end: every control moves it, its numbers are right, nothing is made twice."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from course_utils.experiments.photographs import PHOTOGRAPHS, photograph
from course_utils.metrics import psnr, ssim
from course_utils.restoration import Compose, Jpeg, LowerResolution, Overprint
from course_utils.widgets.comparer import square
from course_utils.widgets.restoration import FACTORS, ORIGINAL, PICTURES, QUALITIES, SIDE, RestorationWipe

YOURS = "yours"


def blur(pictures):
    return F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)


@pytest.fixture
def wipe():
    return RestorationWipe({"nothing": lambda pictures: pictures, "blur": blur})


@pytest.fixture(scope="module")
def kept():
    return RestorationWipe({"nothing": lambda pictures: pictures, "blur": blur})


def upload(content, name="mine.png"):
    now = datetime.now(UTC)
    return ({"name": name, "content": memoryview(content), "type": "", "size": len(content), "last_modified": now},)


def png(height, width, seed=0):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def test_it_offers_only_photographs_that_nothing_is_trained_on():
    assert not set(PICTURES) & set(PHOTOGRAPHS["train"])
    assert set(PICTURES) == set(PHOTOGRAPHS["test"]) | set(PHOTOGRAPHS["val"])


def test_every_control_changes_picture_and_sentence(wipe):
    moves = [
        {"picture": "coffee"},
        {"restorer": "blur"},
        {"factor": 3},
        {"quality": 10},
        {"numbers": 2},
        {"seed": 4},
        {"wipe": 80},
        {"restorer": ORIGINAL},
        {"upload": upload(png(160, 190))},
    ]
    assert {name for move in moves for name in move} == set(wipe.controls)
    for move in moves:
        before, sentence = wipe.png, wipe.sentence
        wipe.set(**move)
        assert wipe.png != before and wipe.sentence != sentence, move


@pytest.mark.parametrize("numbers", range(5))
@pytest.mark.parametrize("factor", FACTORS)
def test_every_damage_draws(kept, factor, numbers):
    wipe, first = kept, (FACTORS.index(factor) + numbers) % 2
    for i in range(first, len(QUALITIES), 2):  # every second one: each quality meets each factor and each number
        quality = QUALITIES[i]
        settings = {
            "picture": (*PICTURES, YOURS)[(i + numbers) % 4],
            "restorer": ("nothing", "blur", ORIGINAL)[(i + numbers) % 3],
            "seed": (i + numbers) % 10,
            "wipe": 5 * ((4 * i + numbers) % 21),
        }
        wipe.set(factor=factor, numbers=numbers, quality=quality, **settings)
        assert (f"divided by {factor}" in wipe.sentence) == (factor > 1)
        assert (f"JPEG quality {quality}" in wipe.sentence) == (quality != "off")
        assert (f"{numbers} number" in wipe.sentence) == (numbers > 0)
        assert f"Wipe at {settings['wipe']} %: damaged left of the line, {settings['restorer']}" in wipe.sentence
        assert ("as it is" in wipe.sentence) == (factor == 1 and not numbers and quality == "off")


def test_the_sentence_holds_the_numbers_of_the_metrics(wipe):
    original = square(photograph("coffee"), SIDE)[None]
    steps = [LowerResolution(3), Overprint(2, 13 / 144), Jpeg((20, 20))]
    damaged = Compose(steps)(original, 5)
    wipe.set(picture="coffee", factor=3, numbers=2, quality=20, seed=5, restorer="blur")
    before, after = (f"PSNR {psnr(x, original):.2f} dB, SSIM {ssim(x, original):.3f}" for x in (damaged, blur(damaged)))
    gain = round(psnr(blur(damaged), original), 2) - round(psnr(damaged, original), 2)
    assert f"Damaged: {before}; blur: {after}, gain {gain:+.2f} dB.".replace("-", "−") in wipe.sentence


def test_nothing_asked_leaves_the_picture_as_it_is(wipe):
    wipe.set(factor=1, numbers=0, quality="off", wipe=100)
    said = (
        "chelsea, 144 × 144, as it is, because no damage is asked for. Damaged: equal to the original; nothing: equal"
    )
    assert wipe.sentence.startswith(said)
    wiped, original = (np.asarray(axes.images[0].get_array()) for axes in wipe.figure.axes[:2])
    assert np.array_equal(wiped, original)


def test_a_number_stays_in_its_place_when_the_rest_of_the_damage_changes(wipe):
    wipe.set(factor=1, quality="off", numbers=1, wipe=100)
    places = []
    for factor in (1, 1.5):
        wipe.set(factor=factor)
        wiped = np.asarray(wipe.figure.axes[0].images[0].get_array())
        white = (wiped == 255).all(2)
        assert white.sum() > 10
        places.append(white)
    assert np.array_equal(*places)


def test_without_numbers_the_seed_changes_nothing(wipe):
    wipe.set(numbers=0)
    before, sentence = wipe.png, wipe.sentence
    wipe.set(seed=7)
    assert (wipe.png, wipe.sentence) == (before, sentence)


def test_a_restorer_is_called_once_for_each_damage():
    calls = []
    wipe = RestorationWipe({"counted": lambda pictures: calls.append(pictures.shape) or pictures})
    for place in (0, 30, 100):
        wipe.set(wipe=place)
    wipe.set(restorer=ORIGINAL)
    assert calls == [(1, 3, 144, 144)]
    for _ in range(2):
        wipe.set(restorer="counted", quality=10)
        wipe.set(quality=30)
        wipe.set(picture="coffee")
        wipe.set(picture="chelsea")
    assert len(calls) == 3


def test_a_restorer_that_writes_on_what_it_gets_leaves_original_and_damaged_alone():
    wipe = RestorationWipe({"honest": lambda pictures: pictures * 0, "careless": lambda pictures: pictures.mul_(0)})
    wipe.set(factor=1, numbers=0, quality="off")
    before, sentence = wipe.png, wipe.sentence
    wipe.set(restorer="careless")
    assert wipe.sentence == sentence.replace("honest", "careless")
    wipe.set(restorer="honest")
    assert wipe.png == before


def test_an_upload_is_shown_at_once_and_another_replaces_it(wipe):
    wipe.set(upload=upload(png(500, 300)))
    assert wipe.controls["picture"].value == YOURS
    assert wipe.sentence.startswith("yours, 144 × 144, resolution divided by 2")
    sentence = wipe.sentence
    wipe.set(upload=upload(png(500, 300, seed=1)))
    assert wipe.sentence != sentence
    wipe.set(upload=upload(png(50, 70)))
    assert wipe.sentence.startswith("yours, 48 × 48, ")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"no picture", "notes.txt is not a picture"), (png(15, 90), "90 × 15 pixels is too small")]
)
def test_a_file_that_does_not_fit_is_explained_and_the_wipe_goes_on(wipe, content, reason):
    wipe.set(upload=upload(content, "notes.txt"))
    assert reason in wipe.sentence and "chelsea is shown instead" in wipe.sentence
    wipe.set(picture="coffee")
    assert wipe.sentence.startswith("coffee")


def test_without_a_file_yours_asks_for_one(wipe):
    wipe.set(picture=YOURS)
    assert wipe.sentence.startswith("No picture of yours yet: choose a file. chelsea is shown instead. chelsea, 144")


@pytest.mark.parametrize("shape", [(1000, 1500), (150, 145), (144, 144), (100, 77), (16, 400)])
def test_squares_are_at_most_144_pixels(shape):
    cut = square(torch.randint(0, 256, (3, *shape), dtype=torch.uint8), SIDE)
    assert cut.shape[1] == cut.shape[2] == min(144, min(shape) - min(shape) % 12)
    assert cut.dtype == torch.float32 and cut.min() >= 0 and cut.max() <= 1


@pytest.mark.parametrize(
    ("restorer", "message"),
    [
        (lambda pictures: pictures[..., :96], r"restorer 'bad' gave \(1, 3, 144, 96\) for pictures \(1, 3, 144, 144\)"),
        (lambda pictures: None, "restorer 'bad' gave NoneType"),
        (lambda pictures: pictures / 0, "not finite"),
        (lambda pictures: 1 / 0, "division by zero"),
    ],
)
def test_a_restorer_that_fails_says_so_and_the_next_one_works(restorer, message):
    wipe = RestorationWipe({"nothing": lambda pictures: pictures, "bad": restorer})
    with pytest.raises((ValueError, ZeroDivisionError), match=message):
        wipe.set(restorer="bad")
    assert "This could not be drawn: " in wipe.sentence
    wipe.set(restorer="nothing")
    assert wipe.sentence.startswith("chelsea, 144 × 144")


@pytest.mark.parametrize("restorers", [{}, {"": blur}, {"original": blur}, {"blur": None}, {3: blur}])
def test_restorers_need_a_name_and_a_function(restorers):
    with pytest.raises(ValueError, match="restorer"):
        RestorationWipe(restorers)
