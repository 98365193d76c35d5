"""The PNG written by hand, read by Pillow."""

import io

import numpy as np
import pytest
from PIL import Image

from course_utils.plots.png import encode_png


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (33, 40), (480, 960)])
def test_pillow_reads_the_pixels_that_were_written(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels))) as picture:
        assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), pixels)


def test_plain_surfaces_take_few_bytes_and_every_checksum_holds():
    written = encode_png(np.full((200, 300, 3), 250, np.uint8))
    assert len(written) < 2000
    with Image.open(io.BytesIO(written)) as picture:
        picture.verify()
