"""The widget base, without a kernel or a front end: what it shows, when it draws, and that it hides no error."""

import base64
import io
from datetime import UTC, datetime

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from course_utils.widgets.figure import FigureWidget, uploaded_picture


class Square:
    """A drawing function that counts its calls: a grey square, `level` of 255 bright, of two sizes."""

    def __init__(self):
        self.calls = 0
        self.figure, axes = plt.subplots(figsize=(4, 2))
        axes.set_axis_off()
        self.image = axes.imshow(np.zeros((2, 2)), cmap="gray", vmin=0, vmax=255)

    def __call__(self, level, size):
        self.calls += 1
        if level == 13:
            raise ValueError("level 13 is <not> drawn")
        self.image.set_data(np.full((2, 2), level))
        return self.figure, f"A {size} square of level {level}."


@pytest.fixture
def square():
    return Square()


@pytest.fixture
def widget(square):
    controls = {
        "level": ipywidgets.IntSlider(value=0, max=255, description="level"),
        "size": ipywidgets.ToggleButtons(options=["small", "large"], description="size"),
    }
    return FigureWidget(square, controls, css_class="square", width=320)


def pixels(png):
    return np.array(Image.open(io.BytesIO(png)))


def test_the_picture_has_the_asked_width_and_shows_what_was_drawn(widget):
    widget.controls["level"].value = 100
    picture = pixels(widget.png)
    assert picture.shape == (160, 320, 3)
    assert picture[80, 160].tolist() == [100, 100, 100]


def test_a_moved_control_draws_once_and_changes_picture_and_sentence(widget, square):
    before, calls = widget.png, square.calls
    widget.controls["level"].value = 200
    assert square.calls == calls + 1
    assert widget.png != before
    assert widget.sentence == "A small square of level 200."
    assert "A small square of level 200." in widget.children[-1].value


def test_the_same_settings_give_the_same_bytes(widget):
    first = widget.png
    widget.set(level=50)
    widget.set(level=0)
    assert widget.png == first


def test_set_moves_several_controls_and_draws_once(widget, square):
    calls = square.calls
    widget.set(level=7, size="large")
    assert square.calls == calls + 1
    assert widget.values == {"level": 7, "size": "large"}
    widget.set(level=7)
    assert square.calls == calls + 1, "nothing changed, so there is nothing to draw"


def test_an_exception_while_moving_is_said_and_raised(widget):
    with pytest.raises(ValueError, match="level 13"):
        widget.controls["level"].value = 13
    assert widget.sentence == "This could not be drawn: ValueError: level 13 is <not> drawn"
    assert "&lt;not&gt;" in widget.children[-1].value
    widget.set(level=14)
    assert widget.sentence == "A small square of level 14."


def test_an_exception_in_the_first_drawing_stops_the_cell(square):
    with pytest.raises(ValueError, match="level 13"):
        FigureWidget(square, {"level": ipywidgets.IntSlider(13, description="level")} | size(), css_class="square")


def size():
    return {"size": ipywidgets.ToggleButtons(options=["small"], description="size")}


def test_static_pages_get_the_picture_and_the_sentence(widget):
    bundle = widget._repr_mimebundle_()
    saved = base64.b64decode(bundle["image/png"])
    assert np.array_equal(*(Image.open(io.BytesIO(png)) for png in (saved, widget.png)))
    assert bundle["text/plain"] == "A small square of level 0."
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_figure_is_not_shown_a_second_time_by_pyplot(widget, square):
    assert not plt.fignum_exists(square.figure.number)


def test_the_widget_can_be_found_by_its_class(widget):
    assert {"figure-widget", "square"} <= set(widget._dom_classes)


@pytest.mark.parametrize("control", [ipywidgets.Dropdown, ipywidgets.RadioButtons])
def test_controls_that_lose_the_arrow_keys_are_refused(square, control):
    with pytest.raises(TypeError, match="ToggleButtons or SelectionSlider"):
        FigureWidget(square, {"level": control(options=[1], description="level")}, css_class="square")


def test_a_control_needs_a_description(square):
    with pytest.raises(ValueError, match="'level' needs a description"):
        FigureWidget(square, {"level": ipywidgets.IntSlider()}, css_class="square")


def upload(name, content):
    return {"name": name, "content": memoryview(content), "type": "", "size": len(content)}


def encoded(array, kind="png", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def test_nothing_uploaded_is_none():
    assert uploaded_picture(()) is None


def test_the_last_upload_counts_and_keeps_its_pixels():
    pair = [np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8) for seed in (0, 1)]
    files = tuple(upload(f"{i}.png", encoded(picture)) for i, picture in enumerate(pair))
    np.testing.assert_array_equal(uploaded_picture(files), pair[1])


def test_a_photograph_is_turned_upright_and_reduced():
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned: the viewer has to turn it by 90 degrees
    photo = encoded(np.zeros((40, 80, 3), dtype=np.uint8), "jpeg", exif=exif)
    assert uploaded_picture((upload("photo.jpg", photo),)).shape == (80, 40, 3)
    assert uploaded_picture((upload("photo.jpg", photo),), max_side=20).shape == (20, 10, 3)


def test_a_grey_picture_with_transparency_becomes_rgb():
    grey = np.zeros((3, 4, 2), dtype=np.uint8)
    assert uploaded_picture((upload("grey.png", encoded(grey)),)).shape == (3, 4, 3)


@pytest.mark.parametrize("content", [b"", b"not a picture", encoded(np.zeros((9, 9), dtype=np.uint8))[:40]])
def test_another_file_is_refused_by_name(content):
    with pytest.raises(ValueError, match=r"notes\.txt is not a picture"):
        uploaded_picture((upload("notes.txt", content),))


def test_a_widget_with_a_file_upload_draws_the_uploaded_picture():
    figure, axes = plt.subplots()

    def draw(files):
        picture = uploaded_picture(files)
        axes.imshow(np.zeros((2, 2, 3)) if picture is None else picture)
        return figure, "Upload a picture." if picture is None else f"Yours: {picture.shape[1]} x {picture.shape[0]}."

    control = ipywidgets.FileUpload(description="picture", accept="image/*")
    widget = FigureWidget(draw, {"files": control}, css_class="upload")
    assert widget.sentence == "Upload a picture."
    control.value = (
        {**upload("mine.png", encoded(np.zeros((5, 7, 3), dtype=np.uint8))), "last_modified": datetime.now(UTC)},
    )
    assert widget.sentence == "Yours: 7 x 5."


def test_what_is_transparent_lies_on_white():
    clear = np.zeros((3, 4, 4), dtype=np.uint8)
    assert (uploaded_picture((upload("logo.png", encoded(clear)),)) == 255).all()
    half = np.full((3, 4, 4), (255, 0, 0, 128), dtype=np.uint8)
    assert abs(uploaded_picture((upload("half.png", encoded(half)),))[0, 0].astype(int) - (255, 127, 127)).max() <= 1


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_grey_of_unknown_white_is_refused(kind):
    ramp = np.linspace(0, 1 if kind is np.float32 else 65535, 64).reshape(8, 8).astype(kind)
    content = encoded(ramp, "tiff")
    with pytest.raises(ValueError, match=r"scan\.tif is grey with more than 8 bits"):
        uploaded_picture((upload("scan.tif", content),))


def test_a_huge_upload_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr("course_utils.widgets.figure.MOST_PIXELS", 20)
    with pytest.raises(ValueError, match=r"map\.png has 7 × 5 pixels, more than"):
        uploaded_picture((upload("map.png", encoded(np.zeros((5, 7, 3), dtype=np.uint8))),))
