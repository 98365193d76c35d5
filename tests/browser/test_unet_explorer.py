"""The U-Net explorer of notebook 05 in JupyterLab: every control moves its picture and its sentence."""

import pytest

pytest.importorskip("playwright", reason="no Playwright: `pip install playwright`")
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

NOTEBOOK = "05_skip_connections_and_hooks.ipynb"


def test_the_explorer_follows_every_control(lab):
    notebook = lab(NOTEBOOK)
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
