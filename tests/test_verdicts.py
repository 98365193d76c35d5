"""The verdicts: found in every form the notebooks use, complete, without contradiction, and equal to the last table."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from course_utils.experiments.verdicts import CLAIMS, collect, table, verdicts_in

CONDITION, NOT = "true with a condition", "not as stated"
NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**Claim C3 is true.** Nine sizes. More.", [(3, "true", "Nine sizes.")]),
        ("- **Claim C13 is true** as to the end: 2.0 points", [(13, "true", "as to the end: 2.0 points")]),
        ("**Verdict on Claim C1: true.** Far above it.", [(1, "true", "Far above it.")]),
        ("**Claim C13 is true of the modern design:** joined", [(13, "true", "joined")]),
        ("**Claim C5 is true with a condition.** If it fits", [(5, "true with a condition", "If it fits")]),
        ("**Claim C7 is true of the picture, not of the code.**", [(7, "true with a condition", "")]),
        ("**Claim C8 is true, with a condition on the kernel.**", [(8, "true with a condition", "")]),
        ("**Claim C16 is not as stated,** twice.", [(16, "not as stated", "twice.")]),
        ("| C6 one ring: 4 × 4 | not as stated | 3 × 3 |\n", [(6, "not as stated", "3 × 3")]),
        (
            "- Claims C13 and C14 are true, C2 true with a condition, C16 and C20 not as stated.",
            [(n, kind, "") for n, kind in zip((13, 14, 2, 16, 20), ("true", "true", CONDITION, NOT, NOT), strict=True)],
        ),
        ("**It tests** claims C2 (pretraining is why) and C17 (true or not).", []),
        ("Claim C9 says: no zeros. The sentence is true.", []),
    ],
)
def test_a_verdict_is_found_in_every_form(text, expected):
    assert [(one.claim, one.kind, one.number) for one in verdicts_in(text, "n")] == expected


def write(folder, **texts):
    for name, text in texts.items():
        nbformat.write(new_notebook(cells=[new_markdown_cell(text)]), folder / f"{name[1:]}.ipynb")


ALL = "\n\n".join(f"**Claim C{claim} is true.** Number {claim}." for claim in CLAIMS)


def test_a_complete_course_gives_a_row_for_each_claim(tmp_path):
    write(tmp_path, _01_a=ALL, _02_b="| C4 text | true | seven |\n")
    rows = table(collect(tmp_path)).splitlines()[2:]
    assert len(rows) == 22
    assert rows[3].split(" | ")[2:] == ["true", "Number 4.", "[1](01_a.ipynb), [2](02_b.ipynb) |"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"_01_a": ALL.replace("**Claim C9 is", "Claim C9 is")}, "no notebook judges claim C9"),
        ({"_01_a": ALL, "_02_b": "**Claim C9 is not as stated.**"}, "two verdicts on claim C9.*01_a.*02_b"),
        ({"_01_a": ALL, "_02_b": "**Claim C9 is true with a condition.**"}, "two verdicts on claim C9"),
        ({"_01_a": ALL, "_02_b": "Claims C8 and C9 are not as stated."}, "two verdicts on claim C8"),
        ({"_01_a": ALL, "_02_b": "**Claim C9 is plausible.**"}, "'plausible' on claim C9 begins neither"),
        ({"_01_a": ALL + "\n\n**Claim C23 is true.**"}, "01_a judges C23"),
    ],
)
def test_gaps_and_contradictions_are_refused(tmp_path, texts, message):
    write(tmp_path, **texts)
    with pytest.raises(ValueError, match=message):
        collect(tmp_path)


def test_the_notebooks_judge_every_claim_and_the_last_one_shows_their_verdicts():
    shown = table(collect(NOTEBOOKS))
    last = nbformat.read(NOTEBOOKS / "08_one_network_five_restorations.ipynb", as_version=4)
    outputs = [output for cell in last.cells if cell.cell_type == "code" for output in cell.outputs]
    assert shown in [output.get("data", {}).get("text/markdown") for output in outputs]


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_evidence_in_the_table_can_be_read_at_a_glance(claim):
    assert len(collect(NOTEBOOKS)[claim][0].number.split()) <= 40
