"""The check of a prepared folder: each kind of damage is found and named, and all of them at once."""

import re
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from course_utils.classes import CLASS_NAMES
from data_scripts import check_camvid
from data_scripts._checks import check_folder, differences, summary
from tests.small_camvid import SPLITS, STEMS, change_png, digest_by_hand, segnet_source, snapshot, write_prepared


@pytest.fixture
def root(tmp_path):
    return write_prepared(tmp_path / "camvid")


@pytest.fixture(autouse=True)
def _small_is_published(monkeypatch):
    monkeypatch.setattr(check_camvid, "SOURCES", {"segnet": segnet_source()})


def append(path, line):
    path.write_text(path.read_text() + f"{line}\n")


def drop_line(path, line):
    path.write_text(path.read_text().replace(f"{line}\n", ""))


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_code_40(mask):
    return np.where(np.arange(mask.size).reshape(mask.shape) == 7, 40, mask).astype(np.uint8)


def copy_photo(root, stem, other):
    shutil.copy(root / f"images/{stem}.png", root / f"images/{other}.png")


FIRST, VAL, TEST = SPLITS["train"][0], SPLITS["val"][0], SPLITS["test"][0]
DAMAGE = {
    "missing photograph": lambda root: (root / f"images/{FIRST}.png").unlink(),
    "missing mask": lambda root: (root / f"labels/{VAL}.png").unlink(),
    "unreadable photograph": lambda root: truncate(root / f"images/{FIRST}.png"),
    "unreadable mask": lambda root: (root / f"labels/{FIRST}.png").write_bytes(b"no picture"),
    "mask and photograph differ in size": lambda root: change_png(root / f"labels/{TEST}.png", lambda mask: mask[:-1]),
    "code out of range": lambda root: change_png(root / f"labels/{TEST}.png", with_code_40),
    "mask is not 8-bit with a single channel": lambda root: change_png(
        root / f"labels/{FIRST}.png", lambda mask: np.stack([mask] * 3, axis=2)
    ),
    "photograph is not 8-bit RGB": lambda root: change_png(root / f"images/{FIRST}.png", lambda photo: photo[..., 0]),
    "listed twice": lambda root: append(root / "train.txt", FIRST),
    "in more than one split": lambda root: append(root / "test.txt", FIRST),
    "file in no split": lambda root: drop_line(root / "train.txt", FIRST),
    "name is not a file stem": lambda root: append(root / "train.txt", "../outside"),
    "empty list": lambda root: (root / "val.txt").write_text("\n"),
    "missing file": lambda root: (root / "val.txt").unlink(),
    "missing folder": lambda root: shutil.rmtree(root / "labels"),
    "same photograph under several names": lambda root: copy_photo(root, FIRST, TEST),
    "more than one file of a name": lambda root: Image.new("RGB", (48, 36)).save(root / f"images/{FIRST}.jpg"),
    "class name twice in codes.txt": lambda root: append(root / "codes.txt", "Sky"),
    "class name missing from codes.txt": lambda root: drop_line(root / "codes.txt", "Void"),
    "class names in another order": lambda root: (root / "codes.txt").write_text("\n".join(reversed(CLASS_NAMES))),
    "differs from the published CamVid (segnet)": lambda root: change_png(
        root / f"labels/{FIRST}.png", lambda mask: mask[::-1]
    ),
}


def test_a_sound_folder_gives_a_table_of_the_splits(root, capsys):
    before = snapshot(root)
    assert check_camvid.main([str(root)]) == 0
    out, err = capsys.readouterr()
    assert "the published segnet version" in out and "48x36" in out
    for split, stems in SPLITS.items():
        assert re.search(rf"^{split} +{len(stems)} +\d+\.\d%$", out, re.MULTILINE)
    assert "error" not in err and snapshot(root) == before


def test_the_remedy_can_be_pasted_whatever_the_folder_is_called(tmp_path, capsys):
    root = write_prepared(tmp_path / "my data")
    next((root / "images").iterdir()).unlink()
    assert check_camvid.main([str(root)]) == 1
    out, err = capsys.readouterr()
    *_, said = re.findall("To replace it: (python .*)", out + err)
    words = shlex.split(said)
    assert words[words.index("--dest") + 1] == str(root)


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_is_named(root, capsys, kind):
    DAMAGE[kind](root)
    assert check_camvid.main([str(root)]) == 1
    out, err = capsys.readouterr()
    assert re.search(rf"^  {re.escape(kind)}: \d", err, re.MULTILINE), err
    assert "Traceback" not in err and out == ""


def test_all_damage_is_reported_at_once(root, capsys):
    together = ["missing photograph", "missing mask", "code out of range", "class names in another order"]
    for kind in together:
        DAMAGE[kind](root)
    assert check_camvid.main([str(root)]) == 1
    err = capsys.readouterr().err
    assert all(f"  {kind}: 1\n" in err for kind in together)


def test_long_lists_of_one_kind_are_cut(root, capsys):
    for stem in STEMS:
        (root / f"labels/{stem}.png").unlink()
    assert check_camvid.main([str(root)]) == 1
    err = capsys.readouterr().err
    assert "  missing mask: 6\n" in err and "... and 1 more" in err
    assert summary(check_folder(root).problems).startswith("missing mask: 6 (train/0001TP_006690, ")


def test_digest_counts_sizes_and_void_agree_with_a_count_by_hand(root):
    report = check_folder(root)
    assert report.digest == digest_by_hand()
    assert report.sizes == {(48, 36): 6}
    for split, stems in SPLITS.items():
        masks = np.stack([np.array(Image.open(root / f"labels/{stem}.png")) for stem in stems])
        assert report.void_share[split] == pytest.approx((masks == 11).mean())


def test_re_encoding_changes_no_digest_but_one_pixel_does(root):
    for stem in SPLITS["test"]:
        mask, photo = root / f"labels/{stem}.png", root / f"images/{stem}.png"
        Image.open(mask).copy().save(mask, compress_level=0)
        Image.open(photo).copy().save(photo.with_suffix(".jpg"), quality=80)
        photo.unlink()
    report = check_folder(root)
    assert report.problems == {} and differences(report, segnet_source()) == []

    change_png(root / f"labels/{FIRST}.png", lambda mask: np.where(np.arange(48) == 5, (mask + 1) % 12, mask))
    assert differences(check_folder(root), segnet_source()) == [
        "the lists or the pixels of the masks are not the published ones"
    ]


def test_a_photograph_that_moved_to_another_split_is_a_difference(root):
    drop_line(root / "train.txt", FIRST)
    append(root / "test.txt", FIRST)
    assert differences(check_folder(root), segnet_source()) == [
        "train has 2 photographs instead of 3",
        "test has 3 photographs instead of 2",
    ]


def test_other_pictures_are_not_compared_with_camvid(tmp_path, capsys):
    root = write_prepared(tmp_path / "scenes")
    for split, stems in SPLITS.items():
        for number, stem in enumerate(stems):
            for path in (root / f"images/{stem}.png", root / f"labels/{stem}.png"):
                path.rename(path.with_name(f"{split}_{number:04}.png"))
        (root / f"{split}.txt").write_text("".join(f"{split}_{number:04}\n" for number in range(len(stems))))
    assert check_camvid.main([str(root)]) == 0
    assert "not CamVid" in capsys.readouterr().out


def test_no_folder_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        assert check_camvid.main([str(path)]) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"error: {path} is not a folder") and err.count("\n") == 1


def test_an_empty_folder_is_reported(tmp_path, capsys):
    assert check_camvid.main([str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert "codes.txt" in err and "train.txt" in err and "labels" in err


def test_ctrl_c_ends_in_one_sentence(root, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(check_camvid, "check_folder", interrupt)
    assert check_camvid.main([str(root)]) == 130
    assert capsys.readouterr() == ("", "interrupted: nothing was changed\n")
