"""Pictures of data and results: functions that take plain values and return a figure, and draw nothing by themselves.

Images are ``(3, H, W)`` tensors or ``(H, W, 3)`` arrays, uint8 or floats from 0 to 1; masks are ``(H, W)`` class
indices. Classes are written out wherever they are coloured, so that no reading depends on colour alone.
"""

from course_utils.plots.charts import class_shares, error_by_distance, per_class_iou, training_curves
from course_utils.plots.figures import DescribedFigure, NotebookFigure
from course_utils.plots.scenes import (
    class_colours,
    class_legend,
    error_picture,
    legend_below,
    overlay,
    show_scenes,
    show_segmentation,
    to_codes,
    to_rgb,
)

__all__ = [
    "DescribedFigure",
    "NotebookFigure",
    "class_colours",
    "class_legend",
    "class_shares",
    "error_by_distance",
    "error_picture",
    "legend_below",
    "overlay",
    "per_class_iou",
    "show_scenes",
    "show_segmentation",
    "to_codes",
    "to_rgb",
    "training_curves",
]
