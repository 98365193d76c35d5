"""Reading a prepared folder, the cache on the device, and batches that depend on seed, epoch and position alone."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from course_utils.augment import Augment
from course_utils.camvid import (
    Batches,
    CachedSplit,
    CamVid,
    check_mask,
    load_split,
    normalise,
    read_split,
    resize_pair,
    void_code,
)
from course_utils.classes import CLASS_NAMES
from data_scripts.check_camvid import check_camvid


@pytest.fixture
def root(tmp_path):
    """Five random pictures of 12×16 pixels, three of them for training; one photograph is a JPEG."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for i, suffix in enumerate([".png", ".png", ".jpg", ".png", ".png"]):
        Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(tmp_path / "images" / f"p{i}{suffix}")
        Image.fromarray(rng.integers(0, 12, (12, 16), dtype=np.uint8)).save(tmp_path / "labels" / f"p{i}.png")
    (tmp_path / "codes.txt").write_text("\n".join(CLASS_NAMES) + "\n")
    (tmp_path / "train.txt").write_text("p0\np1\np2\n")
    (tmp_path / "val.txt").write_text("p3\n")
    (tmp_path / "test.txt").write_text("p4\n")
    return tmp_path


def test_items_are_the_files(root):
    image, mask = CamVid(root, "train")[0]
    assert isinstance(image, tv_tensors.Image) and isinstance(mask, tv_tensors.Mask)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.array(Image.open(root / "images" / "p0.png")))
    assert np.array_equal(mask.numpy(), np.array(Image.open(root / "labels" / "p0.png")))


def test_a_joint_transform_moves_both(root):
    plain = CamVid(root, "train")[1]
    flipped = CamVid(root, "train", transform=v2.RandomHorizontalFlip(p=1))[1]
    assert torch.equal(flipped[0], plain[0].flip(-1)) and torch.equal(flipped[1], plain[1].flip(-1))


def test_a_palette_mask_keeps_its_codes(root):
    path = root / "labels" / "p0.png"
    codes = np.array(Image.open(path))
    palette = Image.fromarray(codes).convert("P")
    palette.putdata(codes.flatten().tolist())
    palette.putpalette(list(range(255, -1, -1)) * 3)
    palette.save(path)
    assert np.array_equal(CamVid(root, "train")[0][1].numpy(), codes)


def test_mask_resizing_agrees_with_pillow_exactly():
    mask = torch.from_numpy(np.random.default_rng(1).integers(0, 12, (360, 480), dtype=np.uint8))
    image = torch.zeros(3, 360, 480, dtype=torch.uint8)
    for size in [(176, 240), (180, 240), (96, 128), (240, 320), (720, 960)]:
        _, small = resize_pair(image, mask, size)
        expected = Image.fromarray(mask.numpy()).resize(size[::-1], Image.Resampling.NEAREST)
        assert np.array_equal(small.numpy(), np.array(expected))


def test_mask_resizing_takes_the_pixel_under_the_centre():
    """Against exact fractions, for sizes where floats go wrong."""
    mask = torch.arange(48, dtype=torch.uint8).expand(4, 48)
    _, small = resize_pair(torch.zeros(3, 4, 48), mask, (4, 31))
    assert small[0].tolist() == [math.floor(Fraction(2 * i + 1, 2) * 48 / 31) for i in range(31)]


def test_the_cache_holds_every_picture_in_order(root):
    split = load_split(root, "train", (12, 16), progress=False)
    assert split.stems == ["p0", "p1", "p2"] and split.void == 11
    for i in range(3):
        image, mask = CamVid(root, "train")[i]
        assert torch.equal(split.images[i], image) and torch.equal(split.masks[i], mask)


def numbered_split(n: int = 10) -> CachedSplit:
    images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 3, 4, 4).contiguous()
    return CachedSplit(images, images[:, 0] % 3, [str(i) for i in range(n)], CLASS_NAMES, 11)


def numbers(images: torch.Tensor) -> list[int]:
    return (images[:, 0, 0, 0] * 0.229 * 255 + 0.485 * 255).round().int().tolist()


def test_an_epoch_shows_every_picture_once_in_an_order_of_its_own():
    batches = Batches(numbered_split(), 4, shuffle=True, seed=5)
    orders = []
    for epoch in (0, 1, 0):
        batches.set_epoch(epoch)
        orders.append([number for images, _ in batches for number in numbers(images)])
    assert sorted(orders[0]) == list(range(10))
    assert orders[0] == orders[2] != orders[1]


@pytest.mark.parametrize("epoch", [0, 3])
def test_without_shuffling_every_epoch_keeps_the_order_of_the_split(epoch):
    batches = Batches(numbered_split(), 4, shuffle=False)
    batches.set_epoch(epoch)
    assert [number for images, _ in batches for number in numbers(images)] == list(range(10))


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [4, 4, 2]), (True, [4, 4])])
def test_length_and_last_batch(drop_last, sizes):
    batches = Batches(numbered_split(), 4, drop_last=drop_last)
    assert [len(images) for images, _ in batches] == sizes and len(batches) == len(sizes)


def test_normalise_agrees_with_torchvision():
    images = torch.randint(0, 256, (2, 3, 5, 6), dtype=torch.uint8)
    expected = v2.Compose(
        [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    )
    torch.testing.assert_close(normalise(images), expected(images))


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (torch.tensor([[0, 12]]), ValueError, "codes 12, and only 0 to 11"),
        (torch.tensor([[-1, 3]]), ValueError, "codes -1"),
        (torch.tensor([[0, 300]], dtype=torch.uint16), ValueError, "codes 300"),
        (torch.tensor([[0.0]]), TypeError, "float32"),
        (torch.tensor([[True]]), TypeError, "torch.bool of shape"),
        (None, TypeError, "NoneType; class codes are a tensor of integers"),
    ],
)
def test_check_mask_names_the_codes(mask, error, message):
    with pytest.raises(error, match=message):
        check_mask(mask, 12)


def test_white_masks_get_advice_of_their_own():
    with pytest.raises(ValueError, match=r"codes 255, .* where 255 is white or unlabelled, write the number"):
        check_mask(torch.tensor([0, 255, 1]), 2)


def test_check_mask_takes_any_integers():
    for dtype in (torch.uint8, torch.int16, torch.uint16, torch.uint32, torch.int64):
        check_mask(torch.arange(12).to(dtype), 12)
    with pytest.raises(ValueError, match=r"n_classes=2\.5 is not a whole number"):
        check_mask(torch.zeros(1).long(), 2.5)


def test_damage_is_named_with_its_file(root):
    (root / "images" / "p1.png").write_bytes(b"no picture")
    with pytest.raises(OSError, match=r"p1\.png cannot be read"):
        CamVid(root, "train")[1]
    (root / "images" / "p0.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither a \.png nor a \.jpg"):
        CamVid(root, "train")[0]
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(root / "labels" / "p2.png")
    with pytest.raises(ValueError, match=r"p2\.png is \(5, 5\) pixels"):
        CamVid(root, "train")[2]


def test_pictures_that_pillow_stumbles_over_are_named(root):
    first = (root / "train.txt").read_text().split()[0]
    path = next((root / "images").glob(f"{first}.*"))
    Image.fromarray(np.full((20, 30), 40_000, np.uint16)).save(path.with_suffix(".png"))
    with pytest.raises(ValueError, match=rf"{first}\.png is grey with more than 8 bits"):
        CamVid(root, "train")[0]
    path.with_suffix(".png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([0, 0, 0, 3]) + b"IHDRabc" + bytes(4))
    with pytest.raises(OSError, match=rf"{first}\.png cannot be read as a picture"):
        CamVid(root, "train")[0]


def test_a_folder_that_is_no_data_set_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"data_scripts\.download_camvid"):
        CamVid(tmp_path, "train")


@pytest.mark.parametrize("size", [(0, 32), (-1, 5), 32, (32, 32, 3), (8.0, 8.0)])
def test_sizes_are_checked_before_anything_is_read(root, size):
    with pytest.raises(ValueError, match="size="):
        load_split(root, "train", size)


def test_lists_of_other_editors(root):
    (root / "codes.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(CLASS_NAMES).encode())
    (root / "train.txt").write_bytes(b"\xef\xbb\xbfp0\r\np1\r\n")
    dataset = CamVid(root, "train")
    assert dataset.codes == CLASS_NAMES and dataset.void == 11 and dataset.stems == ["p0", "p1"]
    (root / "codes.txt").write_bytes(b"Stra\xdfe\n")
    with pytest.raises(ValueError, match="not UTF-8"):
        CamVid(root, "train")


@pytest.mark.parametrize(
    "codes", ["", "Sky\n", "Sky\nSky\n", "\n".join(map(str, range(300)))], ids=["none", "one", "twice", "many"]
)
def test_codes_are_some_and_different(root, codes):
    (root / "codes.txt").write_text(codes)
    with pytest.raises(ValueError, match="2 to 254 different"):
        CamVid(root, "train")


def test_a_mask_with_colours_is_refused_and_a_grey_one_in_rgb_taken(root):
    path = root / "labels" / "p0.png"
    codes = np.array(Image.open(path))
    Image.fromarray(np.stack([codes] * 3, axis=-1)).save(path)
    assert np.array_equal(CamVid(root, "train")[0][1].numpy(), codes)
    Image.fromarray(np.stack([codes, codes, codes * 0 + 10], axis=-1)).save(path)
    with pytest.raises(ValueError, match=r"p0\.png holds colours"):
        CamVid(root, "train")[0]


def test_an_empty_split_is_named(root):
    (root / "val.txt").write_text("")
    with pytest.raises(ValueError, match=r"val\.txt lists no picture"):
        load_split(root, "val", (12, 16))


def test_other_bad_arguments(root):
    with pytest.raises(ValueError, match="split='dev'"):
        read_split(root, "dev")
    with pytest.raises(ValueError, match="batch_size=0"):
        Batches(numbered_split(), 0)
    with pytest.raises(ValueError, match=r"batch_size=2\.5 is not a whole number of at least 1"):
        Batches(numbered_split(), 2.5)
    with pytest.raises(ValueError, match="seed=-1 is not a whole number of at least 0"):
        Batches(numbered_split(), 2, seed=-1)
    with pytest.raises(ValueError, match="shuffle='no' is not True or False"):
        Batches(numbered_split(), 2, shuffle="no")
    with pytest.raises(ValueError, match="augment='flip' is neither None nor a function"):
        Batches(numbered_split(), 2, augment="flip")
    with pytest.raises(ValueError, match="is neither None nor a function"):
        Batches(numbered_split(), 2, augment=torch.nn.Identity)
    with pytest.raises(ValueError, match="leaves nothing of 10"):
        Batches(numbered_split(), 11, drop_last=True)
    assert void_code(("a", "b")) == -1


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 5, 8, 8), (8, 8), (1, 3, 2, 2, 2)])
def test_normalise_takes_three_channels(shape):
    with pytest.raises(ValueError, match=r"not \(N, 3, H, W\)"):
        normalise(torch.zeros(shape, dtype=torch.uint8))


def test_what_is_missing_is_named_with_what_belongs_there(root):
    (root / "labels" / "p1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"p1\.png is missing: each picture needs a mask of its name"):
        CamVid(root, "train")[1]
    (root / "train.txt").write_text("p0.png\n")
    with pytest.raises(
        FileNotFoundError, match=r"has neither a \.png nor a \.jpg, .* the lists give names without ending"
    ):
        CamVid(root, "train")[0]
    (root / "train.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"train\.txt is missing: the names of the pictures of that split"):
        CamVid(root, "train")


def test_a_photograph_taken_with_the_camera_turned_fits_a_mask_drawn_upright(root):
    with Image.open(root / "images" / "p0.png") as picture:
        turned = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    before, _ = CamVid(root, "train")[0]
    turned.save(root / "images" / "p0.png", exif=exif)
    assert torch.equal(CamVid(root, "train")[0][0], before)
    _, problems = check_camvid(root)
    assert not any("differ in size" in kind for kind in problems)


def test_an_augmentation_writes_no_other_void_than_the_splits():
    for void in (-1, 2):
        split = replace(numbered_split(), void=void)
        with pytest.raises(ValueError, match=rf"void=11 .* split is {void}: take Augment\(void={void}\)"):
            Batches(split, 2, augment=Augment())
        Batches(split, 2, augment=Augment(degrees=0, zoom=(1.0, 1.2)))
    masks = next(iter(Batches(split, 10, augment=Augment(zoom=(0.5, 0.5), flip=0, void=2))))[1]
    assert int(masks.max()) == 2
    Batches(numbered_split(), 2, augment=Augment())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"masks": torch.zeros(9, 4, 4, dtype=torch.uint8)}, r"10 stems, .* masks torch.uint8 of shape \(9, 4, 4\)"),
        ({"masks": torch.zeros(10, 4, 5, dtype=torch.uint8)}, "give as many of each"),
        ({"masks": torch.zeros(10, 4, 4)}, "whole codes"),
        ({"stems": ["one"]}, "1 stems"),
        ({"masks": torch.full((10, 4, 4), 200, dtype=torch.uint8)}, "the masks of the split holds the codes 200"),
        ({"codes": ("Sky", "Void"), "void": 1}, "holds the codes 2, and only 0 to 1 are classes"),
    ],
)
def test_a_split_whose_parts_do_not_fit_makes_no_batches(changes, message):
    with pytest.raises(ValueError, match=message):
        Batches(replace(numbered_split(), **changes), 2)


def test_a_void_beyond_the_codes_is_no_wrong_code():
    Batches(replace(numbered_split(), codes=("Sky", "Road"), void=2), 2)


def test_batches_want_a_cached_split(root):
    with pytest.raises(ValueError, match="an object of type CamVid, not a CachedSplit, which load_split makes"):
        Batches(CamVid(root, "train"), 2)


def test_one_pixel_is_no_size(root):
    with pytest.raises(ValueError, match=r"size=\(1, 1\) leaves one pixel"):
        load_split(root, "train", (1, 1), progress=False)
    assert load_split(root, "train", (1, 2), progress=False).images.shape == (3, 3, 1, 2)
