"""The verdicts on the lecture's claims, read from the notebooks, so that no list can differ from them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CLAIMS = {
    1: "a class for every pixel needs an understanding of the picture",
    2: "a pretrained encoder is why results are this good",
    3: "the U-Net of 2015: 572² down to 28² × 1024, back up to 388²",
    4: "ResNet-34 turns 224² into 7² × 512; every halving has stride 2",
    5: "stride 1 keeps the grid, 2 halves it, ½ doubles it",
    6: "2 × 2 with a zero between: two rings of padding give 5 × 5, one gives 4 × 4",
    7: "wasteful: nearly all inputs of that convolution are zeros",
    8: "neighbouring output pixels see different amounts of information",
    9: "nearest-neighbour upsampling, then a convolution, avoids both",
    10: "bilinear interpolation averages, say 3 a, 2 c, 1 d, 2 b",
    11: "pixel shuffle is the same idea, done better, with ICNR",
    12: "from the small grid alone detail is poor; skips fix that",
    13: "skips are concatenated at equal grid size, the input picture last",
    14: "the modern U-Net's parts: encoder, batch norm, ReLU, middle, a block for each change of grid",
    15: "hooks store the activations that the blocks concatenate",
    16: "“conv layer” is convolution, ReLU, batch norm",
    17: "a ResBlock instead of two convolutions may give better results",
    18: "concatenate before the convolutions, else the paths cannot interact",
    19: "a DenseNet needs transitions, and its price is memory",
    20: "CamVid: published best 91.5 %, “this week” 94.1 %",
    21: "restoration is the same network with a picture as its target",
    22: "so are colouring, filling in, sketch and Monet",
}
_BOLD = re.compile(r"\*\*(?:Verdict on )?Claim C(\d+)(?: is|:) ([^*]+?)[:.,]?\*\*:?\s*(.*)")
_ROW = re.compile(r"^\|\s*C(\d+)\b[^|]*\|([^|]+)\|([^|]+)\|", re.MULTILINE)
_LIST = re.compile(r"((?:C\d+(?:, | and )?)+) (?:is |are )?(true with a condition|not as stated|true)\b")


@dataclass(frozen=True)
class Verdict:
    """What one place in a notebook says of a claim; `number` is its evidence, in its words."""

    claim: int
    kind: str
    number: str
    notebook: str


def verdicts_in(text: str, notebook: str) -> list[Verdict]:
    """What a Markdown text says: in rows of a table, in bold, and in a sentence that begins with "Claims"."""
    found = _ROW.findall(text)
    found += [(claim, said, re.split(r"(?<=\.) ", rest)[0]) for claim, said, rest in _BOLD.findall(text)]
    for line in re.findall(r"\bClaims C\d.*", text):
        found += [(claim, said, "") for claims, said in _LIST.findall(line) for claim in re.findall(r"\d+", claims)]
    return [Verdict(int(claim), _kind(claim, said.strip()), number.strip(), notebook) for claim, said, number in found]


def _kind(claim: str, said: str) -> str:
    kind = next((kind for kind in ("true", "not as stated") if said.startswith(kind)), None)
    if kind is None:
        raise ValueError(f"the verdict {said!r} on claim C{claim} begins neither with 'true' nor with 'not as stated'.")
    return "true with a condition" if kind == "true" and re.search(r"\b(condition|not)\b", said) else kind


def collect(folder: Path) -> dict[int, list[Verdict]]:
    """Every verdict in the notebooks of `folder` by claim, in the order of the notebooks; of each, a table first.

    Raises:
        ValueError: if a claim has no verdict, or two places contradict each other.
    """
    found: dict[int, list[Verdict]] = {claim: [] for claim in CLAIMS}
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        for verdict in verdicts_in("\n".join(texts), path.stem):
            found.setdefault(verdict.claim, []).append(verdict)
    for claim, verdicts in found.items():
        if claim not in CLAIMS:
            raise ValueError(f"{verdicts[0].notebook} judges C{claim}; the last claim is C{max(CLAIMS)}.")
        if not verdicts:
            raise ValueError(f"no notebook judges claim C{claim}: write **Claim C{claim} is true.** where it is shown.")
        if len({verdict.kind for verdict in verdicts}) > 1:
            said = ", ".join(f"{verdict.kind!r} in {verdict.notebook}" for verdict in verdicts)
            raise ValueError(f"two verdicts on claim C{claim}: {said}.")
    return found


def table(found: Mapping[int, Sequence[Verdict]]) -> str:
    """All verdicts as a Markdown table, a row for each claim, with links to the notebooks."""
    rows = ["| claim | what it says | verdict | evidence | notebook |", "| --- | --- | --- | --- | --- |"]
    for claim, verdicts in found.items():
        stems = dict.fromkeys(verdict.notebook for verdict in verdicts)
        where = ", ".join(f"[{int(stem[:2])}]({stem}.ipynb)" for stem in stems)
        number = next((verdict.number for verdict in verdicts if verdict.number), "")
        rows.append(f"| C{claim} | {CLAIMS[claim]} | {verdicts[0].kind} | {number} | {where} |")
    return "\n".join(rows)
