"""The browser tests see what they are for: a widget that moves, a cell that raises, an error in the console."""

import re

import nbformat
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="no Playwright: `pip install playwright`")
from playwright.sync_api import expect

from tests.browser.notebook_page import LAYOUT_FAULTS, SMALLEST

pytestmark = pytest.mark.browser

WIDGET = """
import time

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np

from course_utils.widgets.figure import FigureWidget, uploaded_picture

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
image = axes.imshow(np.zeros((32, 64)), vmin=0, vmax=10)

def draw(level, side, stripes, files):
    pixels = np.full((32, 64), level)
    pixels[:, : 32 if side == "left" else None] = 0
    pixels[:: 2 if stripes else 64] = 10
    image.set_data(pixels)
    axes.set_title(f"level {level}")
    if level == 9:
        raise ValueError("nine is not drawn")
    upload = uploaded_picture(files)
    return figure, f"level {level}, {side}, stripes {stripes}, picture {None if upload is None else upload.shape}"

FigureWidget(
    draw,
    {
        "level": ipywidgets.IntSlider(3, max=10, description="level"),
        "side": ipywidgets.ToggleButtons(options=["left", "right"], description="side"),
        "stripes": ipywidgets.Checkbox(False, description="stripes"),
        "files": ipywidgets.FileUpload(description="your picture", accept="image/*"),
    },
    css_class="demo",
)
"""


LATE = WIDGET.replace("FigureWidget(\n", "Late(\n").replace(
    "figure, axes",
    """
class Late(FigureWidget):
    def _say(self, sentence):
        time.sleep(0.5)
        super()._say(sentence)

figure, axes""",
    1,
)
"""The same, but its sentence comes half a second after its picture, as on a machine that does something else too."""


PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
BANNER = "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg' width='900' height='90'></svg>"
OUTPUTS = f"""
<style>
  .jp-OutputArea-output {{ width: 500px; overflow: auto }}
  button, .lm-Widget {{ display: block; width: 200px; height: 30px }}
  button.narrow {{ width: 60px; white-space: nowrap; overflow: hidden }}
</style>
<div class="jp-OutputArea-output">
  <img alt="as it should be" src="{PIXEL}" width="100" height="100">
  <img alt="wide" src="{PIXEL}" width="600" height="600">
  <img alt="stretched" src="{PIXEL}" width="200" height="20">
  <img alt="nothing" src="{PIXEL}" width="0" height="0">
  <img alt="no file" src="data:image/png;base64,AAAA">
  <img alt="too small to read" src="{BANNER}" width="180">
</div>
<div class="jp-OutputArea-output"><div class="figure-widget"><div class="lm-Widget widget-container">
  <div class="lm-Widget"><label class="widget-label">Level</label></div>
  <div class="lm-Widget" style="margin-top: -15px"><label class="widget-label">covered</label></div>
  <div class="lm-Widget"><button class="narrow">a name that is far too long for its button</button></div>
  <button class="lm-Widget narrow">another that is far too long for its button</button>
</div></div></div>
"""
"""Outputs as JupyterLab builds them, with one fault of each kind."""


@pytest.fixture(scope="module", autouse=True)
def small_notebooks(server):
    """Small notebooks beside those of the course: a widget that works, one that speaks late, a cell that raises."""
    folder = server.folder / "harness"
    folder.mkdir()
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for name, source in {"widget": WIDGET, "late": LATE, "raising": "1 / 0"}.items():
        cells = [nbformat.v4.new_markdown_cell(f"# {name}"), nbformat.v4.new_code_cell(source.strip())]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / f"{name}.ipynb")


def test_every_control_is_worked_by_keyboard(lab):
    notebook = lab("harness/widget.ipynb")
    widget = notebook.widget("demo")
    assert widget.sentence == "level 3, left, stripes False, picture None"
    widget.press("level", "ArrowRight", "ArrowRight", until="level 5, left")
    widget.press("side", "Tab", "Enter", until="level 5, right")
    widget.press("stripes", "Space", until="stripes True")
    notebook.screenshot("harness-widget")
    notebook.assert_clean()


def test_a_key_is_done_with_when_the_sentence_has_come_too(lab):
    widget = lab("harness/late.ipynb").widget("demo")
    widget.press("level", "ArrowRight", until="level")  # true before the key as well
    assert widget.sentence.startswith("level 4, left")
    widget.press("level", "ArrowRight", "ArrowRight", until="level")
    assert widget.sentence.startswith("level 6, left")


def test_a_picture_can_be_uploaded_and_another_file_is_refused(lab, tmp_path):
    notebook = lab("harness/widget.ipynb")
    widget = notebook.widget("demo")
    Image.new("RGB", (7, 5)).save(tmp_path / "mine.png")
    (tmp_path / "notes.txt").write_text("no picture")
    widget.upload("your picture", tmp_path / "mine.png", until="picture (5, 7, 3)")
    widget.upload("your picture", tmp_path / "notes.txt", until="ValueError: notes.txt is not a picture")


def test_a_drawing_that_fails_says_so_and_the_next_one_works(lab):
    widget = lab("harness/widget.ipynb").widget("demo")
    widget.press("level", *["ArrowRight"] * 5, until="level 8")
    widget.control("level").press("ArrowRight")
    expect(widget.label).to_have_text("This could not be drawn: ValueError: nine is not drawn")
    widget.control("level").press("ArrowRight")
    expect(widget.label).to_contain_text("level 10")


def test_a_cell_that_raises_is_reported(open_notebook):
    notebook = open_notebook("harness/raising.ipynb")
    notebook.run_all()
    assert notebook.cell_errors() == ["cell 2: ZeroDivisionError: division by zero"]
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.assert_clean()


def test_an_error_in_the_console_is_reported(open_notebook):
    notebook = open_notebook("harness/raising.ipynb")
    notebook.page.evaluate("() => console.error('out of order')")
    with pytest.raises(AssertionError, match="out of order"):
        notebook.assert_clean()


def test_what_is_cut_off_or_covered_is_reported(chromium):
    page = chromium.new_page()
    page.set_content(OUTPUTS)
    faults = page.evaluate(LAYOUT_FAULTS, SMALLEST)
    page.close()
    assert faults == [
        'output 1, picture "wide": 600 pixels wide in a panel of 500',
        'output 1, picture "stretched": stretched, 10.00 times as wide',
        'output 1, picture "nothing": 0 x 0 pixels',
        'output 1, picture "no file": does not load',
        'output 1, picture "too small to read": shown at 20 % of its size',
        *faults[5:7],
        'output 2: "Level" lies over "covered"',
    ]
    for fault, name in zip(faults[5:7], ("a name", "another"), strict=True):
        name += " that is far too long for its button"
        assert re.fullmatch(rf'output 2, control "{name}": "{name}" is \d+ pixels wide in \d+', fault)


def test_a_fault_of_the_page_fails_the_test(lab):
    notebook = lab("harness/widget.ipynb")
    notebook.page.evaluate("() => { document.querySelector('.demo img').style.width = '20px'; }")
    with pytest.raises(AssertionError, match=r"stretched|shown at"):
        notebook.assert_clean()
