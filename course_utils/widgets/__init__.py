"""The course's widgets, each a thin layer of controls over a drawing function that is tested without a front end."""

from course_utils.widgets.segmentation import SegmentationViewer

__all__ = ["SegmentationViewer"]
