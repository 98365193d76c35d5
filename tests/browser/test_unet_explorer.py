"""The U-Net explorer of notebook 05 in JupyterLab: every control moves its picture and its sentence."""

import json

import pytest

from tests.browser.conftest import NOTEBOOKS

pytestmark = pytest.mark.browser

NAME = "05_skip_connections_and_hooks.ipynb"
WIDGET = """
import torch

from course_utils.camvid import load_split
from course_utils.encoders import create_encoder
from course_utils.unet import DynamicUnet
from course_utils.unet_widget import UnetExplorer
from data_scripts.locate import camvid_or_street_scenes

torch.manual_seed(0)
test = load_split(camvid_or_street_scenes(), "test", (72, 96), progress=False)
encoder = create_encoder("efficientnet_lite0", pretrained=False)
model = DynamicUnet(encoder, len(test.codes), (72, 96), norm_type="batch", last_cross=False)
UnetExplorer(model, test.images[:12], test.masks[:12], test.codes)
"""


@pytest.fixture(scope="module", autouse=True)
def explorer_alone(server):
    """The notebook's explorer around an untrained network: `test_notebooks` trains it, once for all tests."""
    assert "UnetExplorer(" in (NOTEBOOKS / NAME).read_text(encoding="utf-8")
    cell = {"cell_type": "code", "id": "explorer", "metadata": {}, "source": WIDGET, "outputs": []}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": [cell | {"execution_count": None}], "metadata": {"kernelspec": kernel}}
    text = json.dumps(notebook | {"nbformat": 4, "nbformat_minor": 5})
    (server.folder / "unet_explorer.ipynb").write_text(text, encoding="utf-8")


def test_the_explorer_follows_every_control(lab):
    notebook = lab("unet_explorer.ipynb")
    widget = notebook.widget("unet-explorer")
    assert widget.sentence.startswith("down 1: 16 channels on 36 × 48; skip 1 goes on to up 1. Picture 0, all skips on")
    widget.press("Picture", "ArrowRight", "ArrowRight", until="Picture 2, all skips on")
    widget.press("Level", *["ArrowRight"] * 6, until="up 3: 176 channels on 9 × 12; skip 3 comes from down 3.")
    for number, without in ((3, "skip 3:"), (1, "skips 1, 3:"), (2, "skips 1, 2, 3:"), (4, "skips 1, 2, 3, 4:")):
        widget.press(f"Skip {number}", "Space", until=f"Picture 2 without {without}")
    assert "skip 3 comes from down 3, switched off." in widget.sentence
    widget.press("All skips", "Enter", until="Picture 2, all skips on")
    widget.press("No skip", "Enter", until="Picture 2 without skips 1, 2, 3, 4:")
    notebook.screenshot("unet-explorer")
    notebook.assert_clean()
