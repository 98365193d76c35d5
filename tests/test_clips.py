"""What CamVid's file names tell: gaps to the training pictures, and the pictures of each clip."""

import torch

from course_utils.camvid import CachedSplit
from course_utils.clips import by_clip, frames_to_training


def test_frames_to_the_nearest_training_picture_of_the_same_clip():
    train = ["0016E5_00100", "0016E5_00160", "Seq05VD_f00030"]
    stems = ["0016E5_00131", "0016E5_00170", "Seq05VD_f00000", "0001TP_00100", "portrait"]
    assert frames_to_training(stems, train) == [29, 10, 30, None, None]


def test_the_clips_of_a_split_share_out_its_pictures():
    stems = ["0001TP_2", "Seq05VD_f00030", "0001TP_1", "portrait"]
    values = torch.arange(4, dtype=torch.uint8)
    split = CachedSplit(
        values.view(4, 1, 1, 1).expand(4, 3, 2, 2), values.view(4, 1, 1).expand(4, 2, 2), stems, ("a", "b"), -1
    )
    clips = by_clip(split)
    assert {clip: part.stems for clip, part in clips.items()} == {
        "0001TP": ["0001TP_2", "0001TP_1"],
        "Seq05VD": ["Seq05VD_f00030"],
        "portrait": ["portrait"],
    }
    for part in clips.values():
        numbers = [stems.index(stem) for stem in part.stems]
        assert part.images[:, 0, 0, 0].tolist() == part.masks[:, 1, 1].tolist() == numbers
        assert (part.codes, part.void) == (split.codes, split.void)
