"""What every notebook of the course keeps to, as functions that return their complaints about one notebook."""

import re
from collections.abc import Callable
from pathlib import Path
from statistics import median
from urllib.parse import unquote, urlparse

import nbformat
from nbformat import NotebookNode

WORDS_PER_LINE = (5, 9)
MEDIAN_LINES = 6
MOST_LINES = 30
WIDEST_OUTPUT = 108
"""Characters of a printed line: in a window of 1300 pixels JupyterLab breaks longer ones within words."""
KNOWN_TAGS = {"nbval-ignore-output", "nbval-skip", "raises-exception", "hide-input"}

AT_THE_TOP = {
    "what you will be able to do": r"\bable to\b",
    "which claims it tests": r"\bclaims?\b.*\bC\d+\b",
    "what you need": r"\byou need\b",
    "how many minutes it takes": r"\bminutes?\b",
    "what a GPU changes": r"\bGPU\b",
}
MARKDOWN_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)")
HTML_LINK = re.compile(r"""<(?:a|img)\b[^>]*?\b(?:href|src)=["']([^"']+)""", re.IGNORECASE)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*$", re.MULTILINE)
FENCED_CODE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
ABSOLUTE_PATH = re.compile(r"(?<![\w./:<\\])/(?:[\w.-]+/)+[\w.-]+|\b[A-Za-z]:\\+[\w.-]+|\bfile://")
PROGRESS_BAR = re.compile(r"\d+%\|")

Rule = Callable[[NotebookNode, Path], list[str]]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: NotebookNode) -> list[str]:
    """Text of the Markdown cells, without code blocks."""
    return [FENCED_CODE.sub("", cell.source) for cell in notebook.cells if cell.cell_type == "markdown"]


def count_words(text: str) -> int:
    """Words a reader reads: a link counts by its text; inline code and a formula are a word each."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"<[^>]+>|\$\$?[^$]+\$\$?|`[^`]+`", lambda m: "" if m[0].startswith("<") else " x ", text)
    return len([word for word in text.split() if re.search(r"\w", word)])


def count_lines(source: str) -> int:
    return sum(bool(line.strip()) for line in source.splitlines())


def output_texts(notebook: NotebookNode) -> list[str]:
    """What the saved outputs say, pictures left out."""
    texts = []
    for output in (output for cell in code_cells(notebook) for output in cell.outputs):
        texts.append(output.get("text", ""))
        texts += [
            value for key, value in output.get("data", {}).items() if isinstance(value, str) and "image/" not in key
        ]
    return texts


def opens_and_closes(notebook: NotebookNode, path: Path) -> list[str]:
    """A title, what to expect; at the end a summary, exercises, further reading, the link on."""
    cells = notebook.cells
    complaints = [] if cells and cells[0].source.startswith("# ") else ["the first cell does not start with a # title"]
    first_code = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    top = "\n".join(cell.source for cell in cells[:first_code])
    complaints += [
        f"the text above the first code does not say {what}"
        for what, pattern in AT_THE_TOP.items()
        if not re.search(pattern, top, re.IGNORECASE | re.DOTALL)
    ]
    headings = [heading.lower() for text in prose(notebook) for heading in HEADING.findall(text)]
    if headings[-3:] != ["summary", "exercises", "further reading"]:
        complaints.append("the last three headings are not Summary, Exercises and Further reading")
    if not cells or cells[-1].cell_type != "markdown" or not any(map(is_file, links(cells[-1].source))):
        complaints.append("the last cell does not link on")
    return complaints


def rhythm(notebook: NotebookNode, path: Path) -> list[str]:
    """Neither a wall of text nor a wall of code."""
    lines = [count_lines(cell.source) for cell in code_cells(notebook)]
    if not sum(lines):
        return ["there is no code"]
    complaints = []
    ratio = sum(map(count_words, prose(notebook))) / sum(lines)
    if not WORDS_PER_LINE[0] <= ratio <= WORDS_PER_LINE[1]:
        complaints.append(
            f"{ratio:.1f} words of prose to a line of code, not {WORDS_PER_LINE[0]} to {WORDS_PER_LINE[1]}"
        )
    if median(lines) > MEDIAN_LINES:
        complaints.append(f"the median code cell has {median(lines):g} lines, more than {MEDIAN_LINES}")
    complaints += [
        f"code cell {number} has {count} lines, more than {MOST_LINES}"
        for number, count in enumerate(lines, 1)
        if count > MOST_LINES
    ]
    return complaints


def saved_from_one_clean_run(notebook: NotebookNode, path: Path) -> list[str]:
    """Executed top to bottom, without an error, a warning, a frozen progress bar or dead widget state."""
    cells = code_cells(notebook)
    counts = [cell.execution_count for cell in cells]
    complaints = []
    if counts != list(range(1, len(cells) + 1)):
        complaints.append("the execution counts are not 1, 2, 3, …: refresh the notebook")
    if "widgets" in notebook.metadata:
        complaints.append("it holds widget state")
    for number, cell in enumerate(cells, 1):
        for output in cell.outputs:
            if output.output_type == "error":
                complaints.append(f"code cell {number} shows an error")
            if output.get("name") == "stderr":
                complaints.append(f"code cell {number} writes to stderr: a warning, or a log")
            if any("widget-view" in key for key in output.get("data", {})):
                complaints.append(f"code cell {number} holds a widget view, which shows nothing without its kernel")
            if PROGRESS_BAR.search(output.get("text", "") + output.get("data", {}).get("text/plain", "")):
                complaints.append(f"code cell {number} shows a frozen progress bar")
    return complaints


def lines_fit(notebook: NotebookNode, path: Path) -> list[str]:
    """No printed line is wider than its place; a description behind a picture is not seen."""
    complaints = []
    for number, cell in enumerate(code_cells(notebook), 1):
        for output in cell.outputs:
            plain = set(output.get("data", {})) == {"text/plain"}
            text = output["data"]["text/plain"] if plain else output.get("text", "")
            widest = max(map(len, text.splitlines()), default=0)
            if widest > WIDEST_OUTPUT:
                complaints.append(f"code cell {number} prints {widest} characters in a line, more than {WIDEST_OUTPUT}")
    return complaints


def no_absolute_paths(notebook: NotebookNode, path: Path) -> list[str]:
    """Nothing that is true of one machine only."""
    texts = [cell.source for cell in notebook.cells] + output_texts(notebook)
    found = [match[0] for text in texts for match in ABSOLUTE_PATH.finditer(HTML_LINK.sub("", text))]
    return [f"absolute path {path_}" for path_ in found]


def known_tags(notebook: NotebookNode, path: Path) -> list[str]:
    """A misspelt tag would silently mean nothing."""
    tags = {tag for cell in notebook.cells for tag in cell.metadata.get("tags", ())}
    return [f"unknown tag {tag}" for tag in sorted(tags - KNOWN_TAGS)]


def links(text: str) -> list[str]:
    return MARKDOWN_LINK.findall(text) + HTML_LINK.findall(text)


def is_internal(link: str) -> bool:
    return not urlparse(link).scheme and not link.startswith("//")


def is_file(link: str) -> bool:
    return is_internal(link) and not link.startswith("#")


def anchors(texts: list[str]) -> set[str]:
    """What a link to a heading in `texts` may say behind its #, as JupyterLab has it."""
    return {heading.replace(" ", "-") for text in texts for heading in HEADING.findall(text)}


def texts_of(path: Path) -> list[str]:
    """The prose of a notebook or a Markdown file."""
    if path.suffix == ".ipynb":
        return prose(nbformat.read(path, as_version=4))
    return [FENCED_CODE.sub("", path.read_text(encoding="utf-8"))]


def dead_links(texts: list[str], path: Path) -> list[str]:
    """Complaints about links in `texts`, which stand in the file `path`; web addresses are not followed."""
    complaints = []
    for link in (link for text in texts for link in links(text) if is_internal(link)):
        target, _, anchor = unquote(link).partition("#")
        place = path.parent / target
        if target and not place.exists():
            complaints.append(f"the link {link} leads to no file")
        elif anchor and anchor not in anchors(texts_of(place) if target else texts):
            complaints.append(f"the link {link} leads to no heading")
    return complaints


def links_resolve(notebook: NotebookNode, path: Path) -> list[str]:
    """Links to files, and to headings of this notebook or another, lead somewhere."""
    return dead_links(prose(notebook), path)


HYGIENE: tuple[Rule, ...] = (saved_from_one_clean_run, lines_fit, no_absolute_paths, known_tags, links_resolve)
CRAFT: tuple[Rule, ...] = (opens_and_closes, rhythm)
