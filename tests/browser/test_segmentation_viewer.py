"""Every control of the segmentation viewer changes its picture and its sentence, worked by keyboard.

Alone in a small notebook with blocks of classes, without notebook 01 and its training.
"""

import pytest

from course_utils.classes import CLASS_NAMES, VOID_NAME

pytestmark = pytest.mark.browser

SOURCE = """import torch

from course_utils.classes import CLASS_NAMES
from course_utils.widgets import SegmentationViewer

chance = torch.Generator().manual_seed(0)
blocks = torch.randint(len(CLASS_NAMES), (4, 9, 12), generator=chance)
masks = blocks.repeat_interleave(10, 1).repeat_interleave(10, 2).byte()
images = torch.randint(256, (4, 3, 90, 120), generator=chance, dtype=torch.uint8)
wrong = (masks + 1) % 11
found = {n: torch.rand(masks.shape, generator=chance) < n / 100 for n in (30, 70)}
SegmentationViewer(images, masks, {f"right on {n} %": torch.where(found[n], masks, wrong) for n in found})"""


def test_every_control_by_keyboard(lab_alone):
    notebook = lab_alone("viewer", SOURCE)
    viewer = notebook.widget("segmentation-viewer")
    assert viewer.sentence.startswith("Picture 0, ") and viewer.sentence.endswith("Void is not counted.")
    viewer.press("Picture", "ArrowRight", "ArrowRight", until="Picture 2, ")
    viewer.press("Opacity (%)", "ArrowRight", until="Picture 2, ")
    viewer.press("Show", "Tab", "Enter", until="Picture 2, ")
    narrowest = viewer.sentence
    viewer.press("Network", "Tab", "Enter", until="Picture 2, ")
    assert viewer.sentence != narrowest, "another network, another share of right pixels"
    viewer.press("Show", "Tab", "Enter", until="Picture 2, ")
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
