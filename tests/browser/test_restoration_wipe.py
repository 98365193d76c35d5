"""Every control of the restoration wipe changes its picture and its sentence, worked by keyboard.

Alone in a small notebook with cheap restorers, without notebook 07 and its training.
"""

import pytest

pytest.importorskip("playwright", reason="no Playwright: `pip install playwright`")
from PIL import Image

pytestmark = pytest.mark.browser

SOURCE = """import torch.nn.functional as F

from course_utils.widgets.restoration import RestorationWipe

RestorationWipe({"nothing": lambda pictures: pictures, "blur": lambda pictures: F.avg_pool2d(pictures, 3, 1, 1)})"""


def test_every_control_by_keyboard(lab_alone, tmp_path):
    notebook = lab_alone("restoration", SOURCE)
    wipe = notebook.widget("restoration-wipe")
    assert wipe.sentence.startswith("chelsea, 144 × 144, resolution divided by 2, 1 number printed with seed 0, JPEG")
    wipe.press("Wipe", "ArrowLeft", "ArrowLeft", until="Wipe at 40 %: damaged left of the line, nothing right")
    wipe.press("Right of the line", "Tab", "Enter", until="; blur: PSNR")
    wipe.press("Resolution", "ArrowRight", until="resolution divided by 3, 1 number")
    wipe.press("JPEG quality", "ArrowRight", until="JPEG quality 20.")
    wipe.press("Printed numbers", "ArrowRight", until="2 numbers printed with seed 0")
    wipe.press("Damage seed", "ArrowRight", until="2 numbers printed with seed 1")
    wipe.press("Picture", "Tab", "Enter", until="coffee, 144 × 144")
    notebook.screenshot("restoration-wipe")
    wipe.press("Right of the line", "Tab", "Enter", until="; original: equal to the original.")
    Image.effect_noise((90, 60), 80).convert("RGB").save(tmp_path / "mine.png")
    wipe.upload("Your picture", tmp_path / "mine.png", until="yours, 60 × 60")
    notebook.assert_clean()
