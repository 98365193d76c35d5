"""How long the widgets take from a key press to the new picture: ``python -m tests.browser.measure_redraw --help``.

Run it on a machine that does nothing else: browser, server and kernel share its cores. *bare-figure* is the least
that a matplotlib figure in JupyterLab takes on this machine; the others are to be held against it.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from playwright.sync_api import sync_playwright

from course_utils.check_setup import HOW_TO_GET_CHROMIUM, find_chromium
from course_utils.command_line import check_files, provenance
from course_utils.files import write_json
from tests.browser.conftest import CHROMIUM_ARGUMENTS
from tests.browser.jupyter_lab import jupyter_lab, write_notebook
from tests.browser.notebook_page import NotebookPage, WidgetOnPage

WIDGETS = {
    "bare-figure": (
        """import io

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

figure = Figure(figsize=(4, 3))
drawn = figure.subplots().imshow(np.zeros((32, 32)), vmin=0, vmax=1)
picture = ipywidgets.Image(format="png", width=400)
slider = ipywidgets.IntSlider(description="Seed")


def redraw(change=None):
    drawn.set_data(np.random.default_rng(slider.value).random((32, 32)))
    png = io.BytesIO()
    figure.savefig(png, dpi=100)
    picture.value = png.getvalue()


slider.observe(redraw, names="value")
redraw()
label = ipywidgets.HTML('<span class="figure-widget-label">noise</span>')
root = ipywidgets.VBox([slider, picture, label])
root.add_class("figure-widget")
root.add_class("bare-figure")
root""",
        ["Seed"],  # none of our code: one matplotlib figure, one small PNG, to hold the others against
    ),
    "segmentation-viewer": (
        """import torch

from course_utils.widgets.segmentation import SegmentationViewer

images = torch.randint(0, 256, (12, 3, 96, 128), dtype=torch.uint8)
SegmentationViewer(images, images[:, 0] % 11, images[:, 1] % 11)""",
        ["Picture", "Opacity (%)"],
    ),
    "arithmetic-explorer": (
        "from course_utils.widgets.arithmetic import ArithmeticExplorer\n\nArithmeticExplorer()",
        ["Step"],
    ),
    "upsampling-comparer": (
        "from course_utils.widgets.comparer import UpsamplingComparer\n\nUpsamplingComparer()",
        ["Across"],
    ),
    "initialisation-explorer": (
        "from course_utils.widgets.initialisation import InitialisationExplorer\n\nInitialisationExplorer()",
        ["Steps"],
    ),
    "unet-explorer": (
        """import torch

from course_utils.encoders import create_encoder
from course_utils.unet import DynamicUnet
from course_utils.widgets.unet import UnetExplorer

encoder = create_encoder("efficientnet_lite0", pretrained=False)
model = DynamicUnet(encoder, 12, (72, 96), last_cross=False)
images = torch.randint(0, 256, (1, 3, 72, 96), dtype=torch.uint8)
UnetExplorer(model, images, images[:, 0] % 12)""",
        ["Level"],
    ),
    "photograph-segmenter": (
        """import numpy as np

from course_utils.widgets.photograph import PhotographSegmenter

photograph = np.random.default_rng(0).integers(0, 256, (180, 240, 3), np.uint8)
PhotographSegmenter(lambda picture: (picture, picture[..., 0] // 24), photograph)""",
        ["Opacity (%)"],
    ),
    "restoration-wipe": (
        """from functools import partial

from course_utils.widgets.restoration import RestorationWipe
from course_utils.restorer import make_restorer, restore

RestorationWipe({"network": partial(restore, make_restorer(64, pretrained=False))})""",
        ["Wipe", "Damage seed"],  # only draws; damages, restores and draws
    ),
}
"""CSS class of each widget: the cell that shows it, and the sliders that are moved."""

MOVE = """async ([root, handle]) => {
    const image = root.querySelector('img'), before = image.src, start = performance.now();
    const key = {key: KEY, bubbles: true, cancelable: true};
    handle.dispatchEvent(new KeyboardEvent('keydown', key));
    while (image.src === before) {
        if (performance.now() - start > 5000) return null;
        await new Promise(resolve => setTimeout(resolve, 2));
    }
    await image.decode();
    return performance.now() - start;
}"""


def redraw_times(widget: WidgetOnPage, slider: str, moves: int) -> list[float]:
    """Milliseconds of each of `moves` steps of a slider, there and back again."""
    root, handle = widget.root.element_handle(), widget.control(slider).element_handle()
    times = []
    for i in range(moves):
        key = "ArrowLeft" if i // 4 % 2 else "ArrowRight"
        took = widget.root.page.evaluate(MOVE.replace("KEY", repr(key)), [root, handle])
        if took is not None:
            times.append(took)
        time.sleep(0.05)
    return times


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.measure_redraw", description=__doc__.splitlines()[0])
    parser.add_argument("widgets", nargs="*", metavar="WIDGET", help=f"of {', '.join(WIDGETS)}; all if none is named")
    parser.add_argument("--moves", type=int, default=64, help="key presses for each widget (default: 64)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="JSON file for the result, which is printed in any case"
    )
    args = parser.parse_args(argv)
    if args.moves < 1:
        parser.error(f"--moves {args.moves} is less than 1")
    unknown = sorted(set(args.widgets) - set(WIDGETS))
    if unknown:
        parser.error(f"no widget {', '.join(unknown)}; there are {', '.join(WIDGETS)}")
    chromium = find_chromium()
    if chromium is None:
        parser.error(f"no Chromium: {HOW_TO_GET_CHROMIUM}")
    if args.out is not None:
        try:
            check_files([args.out])
        except OSError as error:
            parser.error(str(error))
    results = []
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        source = Path(folder) / "source"
        for name, (code, _) in WIDGETS.items():
            write_notebook(source / f"{name}.ipynb", code)
        with jupyter_lab(source, Path(folder)) as server:
            for name in args.widgets or WIDGETS:
                page = NotebookPage(browser.new_page(), server.address(f"{name}.ipynb"), Path(folder))
                page.run_all()
                for slider in WIDGETS[name][1]:
                    times = sorted(redraw_times(page.widget(name), slider, args.moves))
                    p95 = times[min(round(0.95 * len(times)), len(times) - 1)]
                    result = {"p50_ms": round(statistics.median(times)), "p95_ms": round(p95), "moves": len(times)}
                    results.append({"widget": name, "slider": slider, **result})
                    print(json.dumps(results[-1]), flush=True)
                page.page.close()
        version = browser.version
        browser.close()
    if args.out is not None:
        measured = provenance(torch.device("cpu"))
        measured["versions"]["chromium"] = version
        write_json(args.out, measured | {"redraws": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
