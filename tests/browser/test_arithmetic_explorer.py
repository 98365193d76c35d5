"""The arithmetic explorer in JupyterLab: every control, by keyboard, changes the picture and what is said of it."""

import pytest

pytestmark = pytest.mark.browser

NOTEBOOK = "02_transposed_convolution_arithmetic.ipynb"
ALONE = "from course_utils.widgets.arithmetic import ArithmeticExplorer\n\nArithmeticExplorer()"


def test_every_control_moves_picture_and_sentence(lab):
    notebook = lab(NOTEBOOK)
    explorer = notebook.widget("arithmetic-explorer")
    assert explorer.sentence.startswith("2 × 2 becomes 5 × 5; output pixel 13 of 25")
    explorer.press("Input side", "ArrowRight", until="3 × 3 becomes 7 × 7")
    explorer.press("Kernel", "ArrowRight", until="becomes 8 × 8")
    explorer.press("Stride", "ArrowRight", until="becomes 10 × 10")
    explorer.press("Padding", "ArrowRight", until="becomes 8 × 8")
    explorer.press("Output padding", "ArrowRight", "ArrowRight", until="becomes 10 × 10")
    explorer.press("Dilation", "ArrowRight", until="becomes 13 × 13")
    explorer.press("Step", "ArrowRight", until="pixel 14 of 169")
    notebook.screenshot("arithmetic-explorer")
    explorer.press("Walk over", "Tab", "Enter", until="input pixel")
    explorer.press("Output padding", "Home", until="becomes 11 × 11")
    explorer.press("Padding", "End", until="becomes 5 × 5")
    explorer.press("Input side", "Home", until="There is no such layer: padding=4")
    notebook.screenshot("arithmetic-explorer-refuses")
    explorer.press("Padding", "Home", until="1 × 1 becomes 7 × 7")
    explorer.press("Input side", "ArrowRight", until="2 × 2 becomes")
    explorer.press("Step", "End", until="input pixel 4 of 4")
    explorer.press("Step", "Home", until="input pixel 1 of 4")
    notebook.assert_clean()


def test_play_walks_by_itself_until_it_is_stopped(lab_alone):
    notebook = lab_alone("arithmetic", ALONE)
    explorer = notebook.widget("arithmetic-explorer")
    explorer.press("Step", "Home", until="output pixel 1 of 25")
    button = explorer.root.locator(".widget-play button").first
    button.focus()
    notebook.page.keyboard.press("Space")
    notebook.page.wait_for_function(
        "() => !document.querySelector('.arithmetic-explorer .figure-widget-label').innerText.includes('pixel 1 of')"
    )
    notebook.page.keyboard.press("Space")
    notebook.page.wait_for_timeout(1000)
    sentence = explorer.sentence
    notebook.page.wait_for_timeout(1600)
    assert explorer.sentence == sentence
    notebook.assert_clean()
