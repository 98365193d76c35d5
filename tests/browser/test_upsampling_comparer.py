"""The upsampling comparer in JupyterLab: every control, by keyboard, changes the picture and what is said of it."""

import pytest
from PIL import Image

pytestmark = pytest.mark.browser

NOTEBOOK = "03_nearest_and_bilinear_upsampling.ipynb"


def test_every_control_moves_picture_and_sentence(lab, tmp_path):
    notebook = lab(NOTEBOOK)
    comparer = notebook.widget("upsampling-comparer")
    assert comparer.sentence.startswith("chelsea, 288 × 288, reduced to 144 × 144 and enlarged 2 times. nearest: PSNR")
    notebook.screenshot("comparer-start")
    comparer.press("First", "ArrowRight", until="2 times. bilinear: PSNR")
    comparer.press("Second", "End", until="; transposed, random: PSNR")
    comparer.press("Factor", "Tab", "Enter", until="enlarged 3 times")
    comparer.press("Picture", "Tab", "Tab", "Enter", until="coffee, 288 × 288")
    comparer.press("Zoom", "ArrowRight", until="middle at 50 % across and 50 % down, zoom 8")
    comparer.press("Across", "ArrowRight", until="middle at 55 % across")
    comparer.press("Down", "ArrowLeft", until="and 45 % down")
    comparer.press("View", "Tab", "Enter", until="wipe at 50 %")
    comparer.press("Wipe", "Home", until="wipe at 0 %")
    notebook.screenshot("comparer-wipe")
    comparer.press("View", "Tab", "Enter", until="Shown: difference")
    comparer.press("View", "Tab", "Enter", until="Shown: spectrum")
    notebook.screenshot("comparer-spectrum")
    Image.effect_noise((90, 60), 80).convert("RGB").save(tmp_path / "mine.png")
    comparer.upload("Your picture", tmp_path / "mine.png", until="yours, 60 × 60")
    notebook.screenshot("comparer-yours")
    notebook.assert_clean()
