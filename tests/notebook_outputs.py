"""Saved outputs of a notebook: tidied so that the same code gives the same bytes, and compared with a fresh run."""

import base64
import re
import struct
from collections.abc import Iterator

import nbformat
from nbformat import NotebookNode
from nbval.plugin import coalesce_streams, get_sanitize_patterns

from tests.nbval_hooks import SANITIZE_FILE

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
VARYING = "nbval-ignore-output"
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}
KEPT_CELL_METADATA = ("tags", "jupyter", "editable", "deletable")
HTML_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")
PNG_COMMENTS = (b"tEXt", b"zTXt", b"iTXt", b"tIME")


def tidy(notebook: NotebookNode) -> None:
    """Drop, in place, what differs between runs or machines: widget state, times, versions, PNG comments."""
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA)
    notebook.nbformat_minor = max(5, notebook.nbformat_minor)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in KEPT_CELL_METADATA})
        if cell.cell_type == "code":
            cell.outputs = [output for output in coalesce_streams(cell.outputs) if _tidy_output(output)]


def _tidy_output(output: NotebookNode) -> bool:
    """Tidy one output in place; False if nothing is left of it."""
    if "data" not in output:
        return True
    output.data.pop(WIDGET_VIEW, None)
    output.metadata.pop(WIDGET_VIEW, None)
    if "image/png" in output.data:
        output.data["image/png"] = strip_png(output.data["image/png"])
    return bool(output.data)


def strip_png(encoded: str) -> str:
    """Base64 of the same PNG without its comments (they name the software's version) and its date."""
    png = base64.b64decode(encoded)
    kept, position = [png[:8]], 8
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        chunk = png[position : position + length + 12]
        if chunk[4:8] not in PNG_COMMENTS:
            kept.append(chunk)
        position += len(chunk)
    return base64.b64encode(b"".join(kept)).decode()


def differences(saved: NotebookNode, fresh: NotebookNode) -> Iterator[str]:
    """One line for each way in which the notebook `saved` is not its tidied fresh run.

    Outputs are compared byte for byte, pictures too, after the replacements of the sanitise file; in cells tagged
    `nbval-ignore-output` only their kinds are. `fresh` takes over the saved outputs that pass.
    """
    code_cells = [pair for pair in zip(saved.cells, fresh.cells, strict=True) if pair[0].cell_type == "code"]
    for number, (before, after) in enumerate(code_cells, 1):
        reason = _cell_difference(before, after)
        if reason:
            yield f"code cell {number} (id {before.id}): {reason}"
        after.outputs = before.outputs
    if nbformat.writes(saved) != nbformat.writes(fresh):
        yield "metadata, execution counts or layout are not as the refresher writes them"


def _cell_difference(before: NotebookNode, after: NotebookNode) -> str | None:
    kinds = [[_kind(output) for output in cell.outputs] for cell in (before, after)]
    if kinds[0] != kinds[1]:
        return f"saved {_describe(kinds[0])}; now {_describe(kinds[1])}"
    if VARYING in before.metadata.get("tags", ()):
        return None
    for left, right in zip(map(_contents, before.outputs), map(_contents, after.outputs), strict=True):
        for key in left:
            if left[key] != right[key]:
                return f"{key} differs" + ("" if key.startswith("image/") else _first_difference(left[key], right[key]))
    return None


def _kind(output: NotebookNode) -> tuple[str, ...]:
    return (output.output_type, output.get("name", ""), *sorted(output.get("data", ())))


def _describe(kinds: list[tuple[str, ...]]) -> str:
    return ", then ".join(" ".join(filter(None, kind)) for kind in kinds) or "no output"


def _contents(output: NotebookNode) -> dict[str, str]:
    """What an output shows, by kind, after the replacements of the sanitise file."""
    shown = output.get("data") or {"text": output.get("text") or output.get("evalue", "")}
    contents = {key: value if isinstance(value, str) else repr(value) for key, value in shown.items()}
    contents |= {"image/in HTML": "".join(HTML_PICTURE.findall(contents.get("text/html", "")))}
    for pattern, replacement in get_sanitize_patterns(SANITIZE_FILE.read_text(encoding="utf-8")):
        contents = {k: v if k.startswith("image/") else re.sub(pattern, replacement, v) for k, v in contents.items()}
    return {k: "".join(v.split()) if k.startswith("image/") else v for k, v in contents.items()}


def _first_difference(left: str, right: str) -> str:
    for before, after in zip(left.splitlines(), right.splitlines(), strict=False):
        if before != after:
            return f": saved {before.strip()!r}, now {after.strip()!r}"
    return ": one has more lines"
