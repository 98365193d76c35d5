"""The photograph segmenter of notebook 06 in JupyterLab, worked by keyboard: an opacity, a file, a wrong file.

Alone in a small notebook with a simple rule in the place of a network, without notebook 06 and its training.
"""

import pytest
from PIL import Image

pytestmark = pytest.mark.browser

SOURCE = """import numpy as np

from course_utils.widgets.photograph import PhotographSegmenter

def halves(photograph):
    codes = np.zeros(photograph.shape[:2], np.uint8)
    codes[:, photograph.shape[1] // 2 :] = 3
    return photograph, codes

PhotographSegmenter(halves, np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8))"""


def test_every_control_by_keyboard(lab_alone, tmp_path):
    notebook = lab_alone("photograph", SOURCE)
    segmenter = notebook.widget("photograph-segmenter")
    segmenter.press("Opacity (%)", "ArrowRight", until="Covers: Sky 50.0%, Road 50.0%.")
    Image.effect_noise((3, 4), 80).convert("RGB").save(tmp_path / "mine.png")
    segmenter.upload("Your photograph", tmp_path / "mine.png", until="Covers: Road 66.7%, Sky 33.3%.")
    segmenter.press("Opacity (%)", "Home", until="Covers: Road 66.7%, Sky 33.3%.")
    notebook.screenshot("photograph-segmenter")
    (tmp_path / "notes.txt").write_text("no picture")
    segmenter.upload("Your photograph", tmp_path / "notes.txt", until="notes.txt is not a picture")
    notebook.assert_clean()
