"""The twelve codes of CamVid: their order, names and drawing colours, shared by every data set of the course."""

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

CLASS_COLOURS = (
    (158, 202, 225),
    (140, 81, 10),
    (255, 217, 47),
    (99, 99, 99),
    (244, 165, 130),
    (27, 120, 55),
    (227, 26, 28),
    (118, 42, 131),
    (33, 102, 172),
    (255, 127, 0),
    (0, 204, 204),
    (0, 0, 0),
)
"""One RGB triple (0 to 255) a class, chosen to differ in lightness as well as in hue."""
