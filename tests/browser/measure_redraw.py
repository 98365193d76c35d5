"""How long the widgets take from a key press to the new picture: ``python -m tests.browser.measure_redraw --help``.

Run it on a machine that does nothing else: browser, server and kernel share its cores.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM_ARGUMENTS, NOTEBOOKS, find_chromium
from tests.browser.jupyter_lab import jupyter_lab
from tests.browser.notebook_page import NotebookPage, WidgetOnPage

WIDGETS = {
    "arithmetic-explorer": ("02_transposed_convolution_arithmetic.ipynb", "Step"),
    "upsampling-comparer": ("03_nearest_and_bilinear_upsampling.ipynb", "Across"),
}
"""CSS class of each widget: the notebook that shows it, and the slider that is moved."""

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
        key = "ArrowLeft" if i // 8 % 2 else "ArrowRight"
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
    args = parser.parse_args(argv)
    unknown = sorted(set(args.widgets) - set(WIDGETS))
    if unknown:
        parser.error(f"no widget {', '.join(unknown)}; there are {', '.join(WIDGETS)}")
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=find_chromium(driver), args=CHROMIUM_ARGUMENTS)
        with jupyter_lab(NOTEBOOKS, Path(folder)) as server:
            for name in args.widgets or WIDGETS:
                notebook, slider = WIDGETS[name]
                page = NotebookPage(browser.new_page(), server.address(notebook), Path(folder))
                page.run_all()
                times = sorted(redraw_times(page.widget(name), slider, args.moves))
                p95 = times[min(round(0.95 * len(times)), len(times) - 1)]
                result = {"p50_ms": round(statistics.median(times)), "p95_ms": round(p95), "moves": len(times)}
                print(json.dumps({"widget": name, **result}), flush=True)
                page.page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
