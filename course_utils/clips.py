"""What CamVid's file names tell: from which clip a picture is, and where in it."""

import dataclasses

from course_utils.camvid import CachedSplit


def clip_and_frame(stem: str) -> tuple[str, int]:
    """Clip and video frame of ``CLIP_FRAME`` (``0016E5_07959``, ``Seq05VD_f00000``), 30 frames a second.

    A name of another kind belongs to the clip of that name.
    """
    clip, _, frame = stem.rpartition("_")
    digits = frame.lstrip("f")
    return (clip, int(digits)) if digits.isdecimal() else (stem, 0)


def frames_to_training(stems: list[str], train_stems: list[str]) -> list[int | None]:
    """How many video frames lie between each picture and the nearest one of `train_stems` in the same clip.

    None where training shows nothing of that clip.
    """
    train = [clip_and_frame(stem) for stem in train_stems]
    gaps = []
    for clip, frame in map(clip_and_frame, stems):
        same_clip = [abs(frame - other) for other_clip, other in train if other_clip == clip]
        gaps.append(min(same_clip, default=None))
    return gaps


def by_clip(split: CachedSplit) -> dict[str, CachedSplit]:
    """The pictures of each clip of `split`, as a split of their own; clips in the order of their first pictures."""
    places: dict[str, list[int]] = {}
    for i, stem in enumerate(split.stems):
        places.setdefault(clip_and_frame(stem)[0], []).append(i)
    return {
        clip: dataclasses.replace(
            split, images=split.images[at], masks=split.masks[at], stems=[split.stems[i] for i in at]
        )
        for clip, at in places.items()
    }
