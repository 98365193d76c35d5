"""The refresher: same code, same bytes; a stale cell is named; a cell that fails leaves the file as it was."""

import base64
import io
import json
import os

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image, PngImagePlugin

from tests.nbval_hooks import THREADS
from tests.notebook_outputs import WIDGET_VIEW, differences, strip_png, tidy
from tests.refresh_notebooks import main

VARYING = {"tags": ["nbval-ignore-output"]}
SOURCES = [
    "import os, sys, time\nprint('one'); print('two', file=sys.stderr); print('three')",
    "value = 0.5\nvalue",
    "import ipywidgets\nipywidgets.IntSlider(description='size')",
    "os.environ['TQDM_DISABLE'] + os.environ['OMP_NUM_THREADS']",
]


@pytest.fixture
def notebook(tmp_path):
    cells = [new_markdown_cell("# Title"), *map(new_code_cell, SOURCES)]
    cells.append(new_code_cell("print(time.time())", metadata=VARYING | {"execution": {"iopub.status.busy": "now"}}))
    path = tmp_path / "small.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"widgets": {"state": {}}}), path)
    return path


def edit(path, change):
    book = nbformat.read(path, as_version=4)
    change(book)
    nbformat.write(book, path)


def test_refreshing_and_checking(notebook, capsys):
    ids = [cell.id for cell in nbformat.read(notebook, as_version=4).cells]
    assert main([str(notebook)]) == 0
    assert "refreshed" in capsys.readouterr().out
    text = notebook.read_text()
    assert text.endswith("}\n") and "widget-view" not in text and "iopub" not in text
    book = nbformat.reads(text, as_version=4)
    assert [cell.id for cell in book.cells] == ids
    cells = book.cells[1:]
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4, 5]
    assert [(out.name, out.text) for out in cells[0].outputs] == [("stdout", "one\nthree\n"), ("stderr", "two\n")]
    assert cells[1].outputs[0].data == {"text/plain": "0.5"}
    assert cells[2].outputs[0].data == {"text/plain": "IntSlider(value=0, description='size')"}
    assert cells[3].outputs[0].data == {"text/plain": f"'1{THREADS}'"}

    assert main(["--check", str(notebook)]) == 0, "the time differs, but its cell is tagged"
    assert notebook.read_text() == text
    edit(notebook, lambda book: book.cells[2].outputs[0].data.update({"text/plain": "0.25"}))
    stale = notebook.read_text()
    assert main(["--check", str(notebook)]) == 1
    assert notebook.read_text() == stale, "a check writes nothing"
    assert f"code cell 2 (id {ids[2]}): text/plain differs: saved '0.25', now '0.5'" in capsys.readouterr().out


def test_a_second_run_gives_the_same_bytes(notebook):
    edit(notebook, lambda book: book.cells.pop())
    main([str(notebook)])
    first = notebook.read_bytes()
    main([str(notebook)])
    assert notebook.read_bytes() == first


def test_a_cell_that_fails_is_shown_and_the_file_stays(notebook, capsys):
    edit(notebook, lambda book: book.cells.insert(2, new_code_cell("def f():\n    return 1 / 0\nf()", id="bad")))
    before = notebook.read_bytes()
    assert main([str(notebook)]) == 1
    told = capsys.readouterr().out
    assert (
        "code cell 2 (id bad) failed:\n    def f():\n        return 1 / 0\n    f()\nZeroDivisionError: division" in told
    )
    assert notebook.read_bytes() == before
    assert list(notebook.parent.iterdir()) == [notebook]


def test_a_cell_that_takes_too_long_is_stopped(notebook, capsys):
    edit(notebook, lambda book: book.cells.insert(1, new_code_cell("import time; time.sleep(60)")))
    assert main([str(notebook), "--timeout", "1"]) == 1
    assert "took longer than 1 s" in capsys.readouterr().out


def test_no_kernel_outlives_its_run(notebook):
    edit(notebook, lambda book: book.cells.insert(1, new_code_cell("import os; os.getpid()")))
    assert main([str(notebook)]) == 0
    pid = int(nbformat.read(notebook, as_version=4).cells[1].outputs[0].data["text/plain"])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_time_and_memory_are_kept(notebook, tmp_path):
    out = tmp_path / "taken.json"
    assert main(["--out", str(out), str(notebook)]) == 0
    record = json.loads(out.read_text())
    assert {"date", "hardware", "versions", "threads"} <= set(record)
    taken = record["notebooks"][f"{tmp_path.name}/small"]
    assert 0 < taken["seconds"] < 300
    assert taken["peak_mib"] is None or taken["peak_mib"] > 10, "no Python is smaller"


def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(notebook, tmp_path, capsys):
    before = notebook.read_bytes()
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "nowhere" / "taken.json"), str(notebook)])
    assert "is no folder" in capsys.readouterr().err
    assert notebook.read_bytes() == before


def test_a_missing_notebook_is_named(capsys):
    with pytest.raises(SystemExit):
        main(["nowhere.ipynb"])
    assert "no such notebook: nowhere.ipynb" in capsys.readouterr().err


def executed(*outputs, tags=()):
    cell = new_code_cell("f()", id="f", execution_count=1, outputs=list(outputs), metadata={"tags": list(tags)})
    book = new_notebook(cells=[cell])
    tidy(book)
    return book


def picture(colour, comment="1"):
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", comment)
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), colour).save(buffer, "png", pnginfo=info)
    return base64.b64encode(buffer.getvalue()).decode()


def shown(colour, comment="1", **more):
    return new_output("display_data", {"image/png": picture(colour, comment), "text/plain": "<Figure>", **more})


def described(colour):
    html = f'<img alt="A square" src="data:image/png;base64,{picture(colour)}" />'
    return new_output("display_data", {"text/html": html, "text/plain": "A square"})


def printed(text, name="stdout"):
    return new_output("stream", name=name, text=text)


SAME = {
    "software that drew a picture": (shown("red", "1"), shown("red", "2")),
    "a widget view": (shown("red", **{WIDGET_VIEW: {"model_id": "1"}}), shown("red")),
    "an address": (printed("<A at 0x7f1a0f4284a0>"), printed("<A at 0x7f1a0f4284b1>")),
    "a duration": (printed("12.5 ms"), printed("13 s")),
    "rounding of an answer": (
        printed("f: exact in all 5 cases."),
        printed("f: close in all 5 cases (max difference below 1e-06)."),
    ),
}
OTHER = {
    "a picture": (shown("red"), shown("blue"), "image/png differs"),
    "a described picture": (described("red"), described("blue"), "image/in HTML differs"),
    "a number": (printed("0.5"), printed("0.6"), "text differs: saved '0.5', now '0.6'"),
    "a line more": (printed("a\n"), printed("a\nb\n"), "text differs: one has more lines"),
    "a stream": (printed("a"), printed("a", "stderr"), "saved stream stdout; now stream stderr"),
    "a kind": (shown("red"), printed("a"), "saved display_data image/png text/plain; now stream stdout"),
}


@pytest.mark.parametrize("case", SAME)
def test_what_may_differ(case):
    before, after = SAME[case]
    assert list(differences(executed(before), executed(after))) == []


@pytest.mark.parametrize("case", OTHER)
def test_what_must_not_differ(case):
    before, after, reason = OTHER[case]
    assert list(differences(executed(before), executed(after))) == [f"code cell 1 (id f): {reason}"]


def test_of_a_tagged_cell_only_the_kinds_count():
    def complaints(after):
        tags = ["nbval-ignore-output"]
        return list(differences(executed(printed("1"), tags=tags), executed(after, tags=tags)))

    assert complaints(printed("2")) == []
    assert complaints(shown("red")) == [
        "code cell 1 (id f): saved stream stdout; now display_data image/png text/plain"
    ]


def test_layout_that_the_refresher_would_change_is_stale():
    saved = executed(printed("1"))
    saved.metadata["widgets"] = {}
    assert "metadata" in "".join(differences(saved, executed(printed("1"))))


def test_stripping_a_png_keeps_its_pixels():
    stripped = base64.b64decode(strip_png(picture("red")))
    assert b"Software" not in stripped
    assert Image.open(io.BytesIO(stripped)).getpixel((1, 1)) == (255, 0, 0)
