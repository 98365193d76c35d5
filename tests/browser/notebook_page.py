"""One notebook open in the browser: run it, read its errors, drive its widgets by keyboard, take its picture."""

import re
import time
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

READY_TIMEOUT = 120_000
RUN_TIMEOUT = 1_200_000
expect.set_options(timeout=30_000)  # a machine that also trains something can be slow to redraw
PANEL = "window.jupyterapp.shell.currentWidget"
KERNEL_IS_READY = f"""async () => {{
    await window.jupyterapp.restored;
    const panel = {PANEL};
    if (!panel || !panel.context) return false;
    await panel.context.ready;
    await panel.sessionContext.ready;
    const kernel = panel.sessionContext.session && panel.sessionContext.session.kernel;
    if (!kernel) return false;
    await kernel.info;
    return true;
}}"""
RUN_ALL = """async (timeout) => await Promise.race([
    window.jupyterapp.commands.execute('notebook:run-all-cells'),
    new Promise((_, reject) => setTimeout(() => reject(new Error(`still running after ${timeout} ms`)), timeout)),
])"""
# A control keeps one message under way and sends the moves made meanwhile when the kernel is done with it: before that
# message leaves the list. Comms can have a thread of their own in the kernel, so asking it something would not wait.
NO_MOVE_UNDER_WAY = f"""() => [...{PANEL}.sessionContext.session.kernel._futures.values()].every(
    future => future.msg.header.msg_type !== 'comm_msg')"""
CELL_ERRORS = f"""() => {{
    const errors = [];
    const cells = {PANEL}.content.model.cells;
    for (let i = 0; i < cells.length; i++) {{
        const cell = cells.get(i);
        if (cell.type !== 'code') continue;
        for (const output of cell.outputs.toJSON())
            if (output.output_type === 'error')
                errors.push(`cell ${{i + 1}}: ${{output.ename}}: ${{output.evalue}}`);
    }}
    return errors;
}}"""


LAYOUT_FAULTS = Path(__file__).with_name("layout_faults.js").read_text(encoding="utf-8")
SMALLEST = 0.4
"""A picture shown at less than this part of its size has letters that nobody can read."""


class NotebookPage:
    """A notebook in JupyterLab, its kernel ready.

    Attributes:
        page: the Playwright page, for whatever this class has no method for.
        console_errors: what the browser's console has reported as an error so far.
    """

    def __init__(self, page: Page, address: str, artifacts: Path):
        self.page = page
        self.artifacts = artifacts
        self.console_errors: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        page.goto(address)
        page.wait_for_function("() => window.jupyterapp !== undefined", timeout=READY_TIMEOUT)
        # The status light says idle before there is a kernel, and a Run All is then lost: ask the session itself.
        deadline = time.monotonic() + READY_TIMEOUT / 1000
        while not page.evaluate(KERNEL_IS_READY):
            assert time.monotonic() < deadline, f"no kernel for {address.partition('?')[0]}"
            page.wait_for_timeout(100)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console_errors.append(f"{message.text} ({message.location.get('url', '')})")

    def run_all(self) -> None:
        """Run every cell; returns when the last one has ended."""
        self.page.evaluate(RUN_ALL, RUN_TIMEOUT)

    def assert_clean(self) -> None:
        """Fail if a cell has raised, the console reports an error, or something on the page cannot be seen well."""
        assert not self.cell_errors(), "\n".join(self.cell_errors())
        assert not self.console_errors, "\n".join(self.console_errors)
        faults = self.layout_faults()
        assert not faults, "\n".join(faults)

    def cell_errors(self) -> list[str]:
        """One line for each cell that has raised."""
        return self.page.evaluate(CELL_ERRORS)

    def layout_faults(self) -> list[str]:
        """A line for each picture that is missing, cut off, stretched or tiny, and each control cut off or covered."""
        return self.page.evaluate(LAYOUT_FAULTS, SMALLEST)

    def widget(self, css_class: str) -> "WidgetOnPage":
        """The live `FigureWidget` with this CSS class, scrolled into view, once it says something."""
        root = self.page.locator(f".jp-OutputArea-output .figure-widget.{css_class}")
        root.first.scroll_into_view_if_needed(timeout=READY_TIMEOUT)
        widget = WidgetOnPage(root)
        expect(widget.label).to_have_text(re.compile(r"\S"), timeout=READY_TIMEOUT)
        return widget

    def screenshot(self, name: str) -> Path:
        """Picture of the window as NAME.png in the folder of artifacts."""
        path = self.artifacts / f"{name}.png"
        self.page.screenshot(path=path)
        return path


class WidgetOnPage:
    """A `FigureWidget` on the page, worked as a learner without a mouse works it."""

    def __init__(self, root: Locator):
        self.root = root
        self.picture = root.locator("img")
        self.label = root.locator(".figure-widget-label")

    @property
    def sentence(self) -> str:
        """What the widget says about its picture."""
        return self.label.text_content() or ""

    def control(self, description: str) -> Locator:
        """What takes the keyboard in the first control whose description starts so: handle, button, box or field."""
        controls = self.root.locator(".lm-Widget:not(.widget-container)")
        # A checkbox begins with an empty label, which holds a space of no width.
        control = controls.filter(has_text=re.compile(rf"^[\s\u200b]*{re.escape(description)}")).first
        control.wait_for()
        inside = control.locator(".noUi-handle, .widget-toggle-button.mod-active, input")
        return inside.first if inside.count() else control

    def press(self, description: str, *keys: str, until: str) -> None:
        """Give the control the focus, press the keys, and wait until the sentence holds `until` and all is drawn.

        Fails if it does not come to that, or if the picture stays the same.
        """
        source = self.picture.get_attribute("src")
        self.control(description).focus()
        for key in keys:
            self.root.page.keyboard.press(key)
        expect(self.label).to_contain_text(until)
        expect(self.picture).not_to_have_attribute("src", source)
        self.root.page.wait_for_function(NO_MOVE_UNDER_WAY)

    def upload(self, description: str, path: Path, *, until: str) -> None:
        """Choose a file in the named `FileUpload` and wait until the sentence holds `until`."""
        with self.root.page.expect_file_chooser() as chooser:
            self.control(description).press("Enter")
        chooser.value.set_files(path)
        expect(self.label).to_contain_text(until)
