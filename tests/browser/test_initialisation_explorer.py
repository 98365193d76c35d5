"""Every control of the initialisation explorer changes its picture and its sentence, worked by keyboard.

Alone in a small notebook, without notebook 04 and its long contest.
"""

import pytest

pytestmark = pytest.mark.browser

SOURCE = "from course_utils.widgets.initialisation import InitialisationExplorer\n\nInitialisationExplorer()"


def test_every_control_by_keyboard(lab_alone):
    notebook = lab_alone("initialisation", SOURCE)
    explorer = notebook.widget("initialisation-explorer")
    assert explorer.sentence.startswith("Random start, no blur, × 2, before training")
    explorer.press("Steps", "ArrowRight", "ArrowRight", until="after 10 steps")
    explorer.press("Blur", "Space", until="Random start, blur, × 2, after 10 steps")
    explorer.press("Start", "Tab", "Enter", until="ICNR start, blur, × 2, after 10 steps")
    explorer.press("Scale", "Tab", "Enter", until="ICNR start, blur, × 3, after 10 steps")
    notebook.screenshot("initialisation-explorer")
    notebook.assert_clean()
