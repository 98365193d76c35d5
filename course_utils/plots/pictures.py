"""Pictures in rows: one row for each way of making them, one column for each thing shown."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from course_utils.checks import check_whole
from course_utils.plots.scenes import to_rgb
from course_utils.tensor_checks import describe, is_batch_of_floats

DPI = 100
LABEL, GAP, HEAD, TITLE_LINE, TITLE_HEIGHT = 150, 6, 8, 16, 30


def show_rows(
    rows: Mapping[str, Tensor], *, title: str = "", zoom: int = 1, columns: int = 8, titles: Sequence[str] = ()
) -> Figure:
    """Rows of pictures, each after its name, every pixel `zoom` by `zoom` pixels of the screen.

    Args:
        rows: by name (a line break starts a second line), pictures ``(N, 3, H, W)``, white 1; all of one shape.
        title: of the whole figure.
        columns: so many pictures of each row at most.
        titles: what stands above each column, or nothing.

    Raises:
        ValueError: if there is no row, shapes differ, pictures are not finite floats, a number is not positive, or
            there are more or fewer titles than columns.
    """
    check_whole(zoom=zoom, columns=columns)
    for name, pictures in rows.items():
        if not is_batch_of_floats(pictures) or not pictures.isfinite().all():
            raise ValueError(f"row {name!r} is {describe(pictures)}, not finite floats (N, 3, H, W), white 1.")
    shapes = {tuple(pictures.shape) for pictures in rows.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 4 or next(iter(shapes))[1] != 3:
        raise ValueError(f"rows of shapes {sorted(shapes)} are not pictures (N, 3, H, W), all of one shape.")
    count, _, height, width = next(iter(shapes))
    count = min(count, columns)
    if titles and len(titles) != count:
        raise ValueError(f"{len(titles)} titles for {count} columns: give each column one, or none at all.")
    heads = TITLE_LINE * max((head.count("\n") + 1 for head in titles), default=0)
    above = heads + (TITLE_HEIGHT if title else 0)
    high, wide = height * zoom + GAP, width * zoom + GAP
    size = (LABEL + count * wide, above + len(rows) * high + HEAD)
    figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI)
    if title:
        place = 8 / size[0], 1 - TITLE_HEIGHT / 2 / size[1]
        figure.text(*place, title, fontsize=12, va="center", parse_math=False)
    for column, head in enumerate(titles):
        place = (LABEL + column * wide + width * zoom / 2) / size[0], 1 - (above + GAP / 2) / size[1]
        figure.text(*place, head, fontsize=9, ha="center", va="bottom", parse_math=False)
    for row, (name, pictures) in enumerate(rows.items()):
        bottom = size[1] - above - (row + 1) * high
        figure.text(8 / size[0], (bottom + high / 2) / size[1], name, fontsize=10.5, va="center", parse_math=False)
        for column, picture in enumerate(pictures[:count]):
            left = LABEL + column * wide
            place = (left / size[0], bottom / size[1], width * zoom / size[0], height * zoom / size[1])
            ax = figure.add_axes(place)
            ax.imshow(to_rgb(picture.clamp(0, 1)), interpolation="nearest", aspect="auto")
            ax.set_axis_off()
    return figure
