"""The page of terms: in the order of the course, no term twice, each with its place and its Chinese name."""

import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from tests.notebook_rules import HEADING, dead_links, prose

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
PAGE = FOLDER / "TERMS.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ")
][2:]
PLACE = re.compile(r"\[(\d+) · (.+)\]\((.+\.ipynb)#(.+)\)")


def headings(name):
    return [heading for text in prose(nbformat.read(FOLDER / name, as_version=4)) for heading in HEADING.findall(text)]


def test_every_row_is_complete_and_no_term_stands_twice():
    assert 40 <= len(ROWS) <= 100
    assert all(len(row) == 5 and all(row) for row in ROWS)
    terms = [term for row in ROWS for term in row[0].lower().split(", ")]
    assert sorted(terms) == sorted(set(terms))
    for term, _, chinese, meaning, _ in ROWS:
        assert re.search(r"[\u4e00-\u9fff]", chinese) or chinese == term, term
        assert meaning[0] not in "AT" and meaning[-1] != ".", term


def test_every_place_is_a_heading_and_says_which():
    assert dead_links([PAGE.read_text(encoding="utf-8")], PAGE) == []
    for *_, place in ROWS:
        number, heading, name, anchor = PLACE.fullmatch(place).groups()
        assert name.startswith(f"{int(number):02}_")
        assert unquote(anchor) == heading.replace(" ", "-")


def test_terms_stand_in_the_order_of_the_course():
    places = [PLACE.fullmatch(row[-1]).group(3, 2) for row in ROWS]
    order = [(name, headings(name).index(heading)) for name, heading in places]
    assert order == sorted(order)


@pytest.mark.parametrize("change", ["another-heading", "gone.ipynb"])
def test_a_place_that_moved_is_reported(change):
    text = PAGE.read_text(encoding="utf-8")
    place = PLACE.search(text)
    moved = text.replace(place[4] if change == "another-heading" else place[3], change)
    assert dead_links([moved], PAGE)
