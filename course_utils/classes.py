"""The twelve codes of CamVid: their order, names and drawing colours, shared by every data set of the course."""

from course_utils.checks import check_whole

CLASS_NAMES = (
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
    "Void",
)
"""Code ``i`` in a mask means class ``CLASS_NAMES[i]``; the order is that of the SegNet tutorial's CamVid."""

VOID_NAME = "Void"
VOID = CLASS_NAMES.index(VOID_NAME)
"""The code of unlabelled pixels: no loss and no metric counts them."""


def void_or_camvids(ignore_index: int | None, n_classes: int) -> int:
    """`ignore_index`; where none is given, the code of CamVid's void.

    Raises:
        ValueError: if none is given, and there are more classes than CamVid's: 11 may then be one of them; if it is
            no whole number.
    """
    if ignore_index is not None:
        check_whole(least=-(2**63), ignore_index=ignore_index)
    elif n_classes > len(CLASS_NAMES):
        raise ValueError(
            f"{n_classes} classes are more than CamVid's {len(CLASS_NAMES)}, so code {VOID} need not be void: "
            "give ignore_index, its code, or -100 if every pixel counts."
        )
    return VOID if ignore_index is None else ignore_index


CLASS_COLOURS = (
    (130, 190, 255),
    (120, 55, 60),
    (255, 255, 140),
    (95, 95, 140),
    (215, 220, 171),
    (0, 152, 55),
    (255, 0, 42),
    (80, 0, 134),
    (0, 77, 255),
    (255, 165, 0),
    (120, 185, 185),
    (0, 0, 0),
)
"""One RGB triple (0 to 255) a class.

A search found them, inside ranges of fitting hues, as the colours that stay furthest apart for normal and for red-green
blind eyes; tests/test_plots.py measures by how much.
"""
