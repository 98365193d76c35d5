"""The course's notebooks keep the rules of `notebook_rules`, and each rule rejects a notebook that breaks it."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.notebook_rules import CRAFT, HYGIENE, code_cells, count_words, no_absolute_paths, output_texts

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
LESSONS = sorted(FOLDER.glob("*.ipynb"))
SOLUTIONS = sorted(FOLDER.glob("solutions/*.ipynb"))
CHECKED = re.compile(r"""^check\(\s*["'](\w+)["']""", re.MULTILINE)


@pytest.mark.parametrize("rule", [*CRAFT, *HYGIENE])
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.name)
def test_lesson(path, rule):
    complaints = rule(nbformat.read(path, as_version=4), path)
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("rule", HYGIENE)
@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.name)
def test_solution(path, rule):
    complaints = rule(nbformat.read(path, as_version=4), path)
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.name)
def test_every_exercise_is_an_untouched_stub_and_has_a_worked_answer_that_passes(path):
    lesson = nbformat.read(path, as_version=4)
    solution = FOLDER / "solutions" / path.name
    assert solution.exists(), f"solutions/{path.name} is missing"
    names = CHECKED.findall("\n".join(cell.source for cell in code_cells(lesson)))
    assert 3 <= len(names) <= 6, f"the notebook checks {len(names)} exercises"
    hinted = re.findall(r'`hint\("(\w+)"\)`', "\n".join(cell.source for cell in lesson.cells))
    assert hinted == names[:1], "the text shows how to ask for a hint, for the first exercise"
    assert any("exercises import check, hint" in cell.source for cell in code_cells(lesson)), "hint is not imported"
    stubs, answers = ("\n".join(output_texts(book)) for book in (lesson, nbformat.read(solution, as_version=4)))
    for name in names:
        assert f"… {name}: not yet" in stubs, name
        assert f"✔ {name}: " in answers, name


TOP = """# Masks are integers

After this you will be **able to** read a mask. It tests claims C1 and C2.
You need nothing. About 2 minutes on two CPU cores, 1 on a GPU."""
END = """## Further reading

Go on with [the next one](next.ipynb#Next) or back to [the masks](#Masks-are-integers)."""


def good_notebook(folder: Path):
    """A small notebook that keeps every rule, at its path in `folder`."""
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Next")]), folder / "next.ipynb")
    stream = new_output("stream", name="stdout", text="3 classes\n")
    picture = new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 640x480>"})
    cells = [
        new_markdown_cell(TOP),
        new_code_cell("a = 1\nprint(3, 'classes')", execution_count=1, outputs=[stream]),
        new_code_cell("show(a)\n\nshow(a)", execution_count=2, outputs=[picture]),
        new_markdown_cell("## Summary\n\nWhole numbers."),
        new_markdown_cell("## Exercises\n\nWrite one."),
        new_code_cell("def f():\n    ...", execution_count=3),
        new_markdown_cell(END),
    ]
    return new_notebook(cells=cells), folder / "good.ipynb"


def complaints_about(change, tmp_path):
    notebook, path = good_notebook(tmp_path)
    change(notebook)
    return [complaint for rule in (*CRAFT, *HYGIENE) for complaint in rule(notebook, path)]


def test_the_small_notebook_keeps_every_rule(tmp_path):
    assert complaints_about(lambda notebook: None, tmp_path) == []


def replaced(index, old, new):
    def change(notebook):
        assert old in notebook.cells[index].source
        notebook.cells[index].source = notebook.cells[index].source.replace(old, new)

    return change


def output(index, *arguments, **keywords):
    return lambda notebook: notebook.cells[index].outputs.append(new_output(*arguments, **keywords))


def longer(index, lines):
    return lambda notebook: notebook.cells[index].update(source="\n".join(["f(1)"] * lines))


BROKEN = {
    "no title": (replaced(0, "# Masks are integers", "Masks"), "does not start with a # title"),
    "no goals": (replaced(0, "able to", "glad to"), "what you will be able to do"),
    "no claims": (replaced(0, "claims C1 and C2", "claims"), "which claims it tests"),
    "no needs": (replaced(0, "You need", "There is"), "what you need"),
    "no minutes": (replaced(0, "minutes", "hours"), "how many minutes"),
    "no GPU": (replaced(0, "GPU", "machine"), "what a GPU changes"),
    "no summary": (replaced(3, "Summary", "Masks"), "the last three headings"),
    "no exercises": (replaced(4, "Exercises", "Work"), "the last three headings"),
    "exercises first": (lambda nb: nb.cells.insert(1, nb.cells.pop(4)), "the last three headings"),
    "no further reading": (replaced(6, "Further reading", "Links"), "the last three headings"),
    "no link on": (replaced(6, "[the next one](next.ipynb#Next)", "the next"), "does not link on"),
    "ends with code": (lambda nb: nb.cells.append(new_code_cell("1", execution_count=4)), "does not link on"),
    "too little prose": (lambda nb: nb.cells.insert(3, new_code_cell("1\n" * 12)), "words of prose to a line"),
    "too much prose": (replaced(3, "Whole", "Whole " * 60), "words of prose to a line"),
    "long cells": (lambda nb: [longer(i, 9)(nb) for i in (1, 2)], "the median code cell has 9 lines"),
    "one very long cell": (longer(2, 31), "code cell 2 has 31 lines"),
    "a gap in the counts": (lambda nb: nb.cells[2].update(execution_count=7), "execution counts"),
    "a cell not run": (lambda nb: nb.cells[5].update(execution_count=None), "execution counts"),
    "widget state": (lambda nb: nb.metadata.update(widgets={}), "holds widget state"),
    "widget view": (
        output(2, "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}),
        "code cell 2 holds a widget view",
    ),
    "an error": (output(1, "error", ename="E", evalue="e", traceback=[]), "code cell 1 shows an error"),
    "a warning": (output(1, "stream", name="stderr", text="careful"), "code cell 1 writes to stderr"),
    "a frozen bar": (output(1, "display_data", {"text/plain": "  0%|   | 0/3"}), "frozen progress bar"),
    "a wide line": (output(1, "stream", name="stdout", text="ok\n" + "x" * 109), "prints 109 characters in a line"),
    "a path in code": (replaced(1, "a = 1", "open('/srv/me/x.txt')"), "absolute path /srv/me/x.txt"),
    "a path on Windows": (replaced(1, "a = 1", r"open('C:\\me')"), "absolute path C:"),
    "a path in an output": (output(1, "stream", name="stdout", text="in /srv/me/x"), "absolute path /srv/me/x"),
    "a misspelt tag": (lambda nb: nb.cells[1].metadata.update(tags=["nbval-ignore-outputs"]), "unknown tag"),
    "a dead link": (replaced(6, "next.ipynb", "nowhere.ipynb"), "nowhere.ipynb#Next leads to no file"),
    "a dead picture": (replaced(3, "Whole", "<img alt='' src='no.png'> Whole"), "no.png leads to no file"),
    "a dead anchor elsewhere": (replaced(6, "next.ipynb#Next", "next.ipynb#Last"), "#Last leads to no heading"),
    "a dead anchor": (replaced(6, "#Masks-are-integers", "#Masks-are-red"), "#Masks-are-red leads to no heading"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_reported(name, tmp_path):
    change, expected = BROKEN[name]
    complaints = "\n".join(complaints_about(change, tmp_path))
    assert expected in complaints


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Two words", 2),
        ("a [link of four words](https://example.org/a-b) - and *more*", 7),
        ("`inline code here` and $x + y$ count one each", 6),
        ("| a | b |\n|---|---|\n| <b>1</b> | 2 |", 4),
    ],
)
def test_words_are_counted_as_read(text, words):
    assert count_words(text) == words


@pytest.mark.parametrize(
    "text", ["3/4 of it", "https://a.org/b/c", "and/or/not", "image/png", "./a/b", "</td></tr>", "(H/4, W/4)"]
)
def test_what_only_looks_like_a_path_is_let_through(text, tmp_path):
    notebook, path = good_notebook(tmp_path)
    notebook.cells[0].source += text
    assert no_absolute_paths(notebook, path) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.name)
def test_a_lesson_reads_nothing_outside_its_folder(path):
    """The folder alone is copied to where the browser opens it; a learner may copy it too."""
    lesson = nbformat.read(path, as_version=4)
    assert not re.findall(r"""["']\.\./""", "\n".join(cell.source for cell in code_cells(lesson)))
