"""The segmentation viewer of notebook 01 in JupyterLab: every control, by keyboard, changes its picture."""

import pytest

from course_utils.classes import CLASS_NAMES, VOID_NAME

pytestmark = pytest.mark.browser

NOTEBOOK = "01_segmentation_basics.ipynb"


def test_every_control_by_keyboard(lab):
    notebook = lab(NOTEBOOK)
    viewer = notebook.widget("segmentation-viewer")
    assert viewer.sentence.startswith("Picture 0. ") and viewer.sentence.endswith("Void is not counted.")
    viewer.press("Picture", "ArrowRight", "ArrowRight", until="Picture 2. ")
    viewer.press("Opacity (%)", "ArrowRight", until="Picture 2. ")
    viewer.press("Show", "Tab", "Enter", until="Picture 2. ")
    narrowest = viewer.sentence
    viewer.press("Network", "Tab", "Enter", until="Picture 2. ")
    assert viewer.sentence != narrowest, "another network, another share of right pixels"
    viewer.press("Show", "Tab", "Enter", until="Picture 2. ")
    viewer.press("Road", "Space", until="All but Road: ")
    viewer.press("No class", "Enter", until="No class: 0.0% of the truth")
    viewer.press("Road", "Space", until=". Road: ")
    notebook.screenshot("segmentation-viewer")
    viewer.press("All classes", "Enter", until="are right. Void is not counted.")
    *others, last = sorted(set(CLASS_NAMES) - {"Road", VOID_NAME})
    for name in others:
        viewer.control(name).press("Space")
    viewer.press(last, "Space", until=". Road: ")
    notebook.assert_clean()
