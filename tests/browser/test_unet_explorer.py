"""Every control of the U-Net explorer moves its picture and its sentence, worked by keyboard.

Alone in a small notebook with an untrained network, without notebook 05 and its trainings.
"""

import pytest

pytest.importorskip("playwright", reason="no Playwright: `pip install playwright`")
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SOURCE = """import torch

from course_utils.encoders import create_encoder
from course_utils.unet import DynamicUnet
from course_utils.widgets.unet import UnetExplorer

torch.manual_seed(0)
model = DynamicUnet(create_encoder("efficientnet_lite0", pretrained=True), 12, (72, 96), last_cross=False)
images = torch.randint(0, 256, (3, 3, 72, 96), dtype=torch.uint8)
UnetExplorer(model, images, images[:, 0] % 12)"""


def test_every_control_by_keyboard(lab_alone):
    notebook = lab_alone("unet", SOURCE)
    widget = notebook.widget("unet-explorer")
    start = "down 1: 16 channels on 36 × 48; skip 1 goes on to up 1. Picture 0, all skips on"
    expect(widget.label).to_contain_text(start)  # below the window's edge, where it has no inner text yet
    widget.press("Picture", "ArrowRight", "ArrowRight", until="Picture 2, all skips on")
    widget.press("Level", *["ArrowRight"] * 6, until="up 3: 176 channels on 9 × 12; skip 3 comes from down 3.")
    for number, without in ((3, "skip 3:"), (1, "skips 1, 3:"), (2, "skips 1, 2, 3:"), (4, "skips 1, 2, 3, 4:")):
        widget.press(f"Skip {number}", "Space", until=f"Picture 2 without {without}")
    expect(widget.label).to_contain_text("skip 3 comes from down 3, switched off.")
    notebook.screenshot("unet-explorer")
    widget.press("All skips", "Enter", until="Picture 2, all skips on")
    widget.press("No skip", "Enter", until="Picture 2 without skips 1, 2, 3, 4:")
    notebook.assert_clean()
