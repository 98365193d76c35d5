"""The painted street scenes: repeatable, like CamVid in their shares, hard for colour and position alone."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_utils.classes import CLASS_NAMES, VOID
from data_scripts import _scene_workers, make_street_scenes
from data_scripts._destination import workplace
from data_scripts.make_street_scenes import main, paint_scene
from tests.killing import BETWEEN_THE_RENAMES

SMALL = {"n_train": 2, "n_val": 1, "n_test": 1, "height": 48, "width": 64, "seed": 5}
FLAGS = ["--n-train", "2", "--n-val", "1", "--n-test", "1", "--height", "48", "--width", "64", "--seed", "5"]
CAMVID_SHARES = dict(zip(CLASS_NAMES, (16.9, 23.3, 1.0, 31.7, 4.5, 9.7, 1.2, 1.1, 5.9, 0.6, 0.3, 4.0), strict=True))
"""Per cent of the pixels of CamVid's 367 training masks (SegNet tutorial version)."""
RARE = ("Pole", "SignSymbol", "Fence", "Pedestrian", "Bicyclist")


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def names(root: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in root.iterdir())


def start(dest: Path, *flags: str, before: str = "") -> subprocess.Popen:
    """Run the real command in a process of its own; `before` is Python that runs first."""
    code = f"import sys\nfrom data_scripts import make_street_scenes\n{before}\nsys.exit(make_street_scenes.main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, "--dest", str(dest), *flags],
        cwd=Path(__file__).parents[1],
        env={name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"},  # it hides the note
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """60 train and 20 val scenes at 96x128: a quarter of the default's pixels, of the same streets."""
    root = tmp_path_factory.mktemp("sample") / "scenes"
    make_street_scenes.make_street_scenes(root, n_train=60, n_val=20, n_test=1, height=96, width=128)

    def load(split: str) -> tuple[np.ndarray, np.ndarray]:
        stems = (root / f"{split}.txt").read_text().split()
        return tuple(
            np.stack([np.asarray(Image.open(root / folder / f"{stem}.png")) for stem in stems])
            for folder in ("images", "labels")
        )

    return load("train"), load("val")


class TestScene:
    def test_same_seed_gives_the_same_bytes_and_another_seed_another_street(self):
        first, again, other = (paint_scene(seed, 48, 64) for seed in ((3, 1), (3, 1), (3, 2)))
        assert first[0].tobytes() == again[0].tobytes() and first[1].tobytes() == again[1].tobytes()
        assert (first[1] != other[1]).mean() > 0.2

    @pytest.mark.parametrize(("height", "width"), [(48, 64), (61, 83), (180, 240), (360, 480)])
    def test_shapes_and_codes_at_every_size(self, height, width):
        image, mask = paint_scene(11, height, width)
        assert image.shape == (height, width, 3) and image.dtype == np.uint8
        assert mask.shape == (height, width) and mask.dtype == np.uint8
        assert mask.max() <= VOID and len(np.unique(mask)) >= 5
        assert image.std() > 15

    def test_the_street_is_the_same_at_another_size(self):
        small, large = paint_scene(4, 90, 120)[1], paint_scene(4, 360, 480)[1]
        shrunk = large[2::4, 2::4]
        counted = (small != VOID) & (shrunk != VOID)
        assert counted.mean() > 0.8 and (small == shrunk)[counted].mean() > 0.93

    def test_refuses_a_size_too_small(self):
        with pytest.raises(ValueError, match="31x64 pixels is too small"):
            paint_scene(0, 31, 64)


class TestDifficulty:
    def test_every_class_occurs_and_the_shares_are_like_camvids(self, sample):
        (_, train), (_, val) = sample
        masks = np.concatenate([train.ravel(), val.ravel()])
        shares = 100 * np.bincount(masks, minlength=12) / masks.size
        assert len(shares) == 12 and (shares > 0).all()
        for name, share in zip(CLASS_NAMES, shares, strict=True):
            band = 3 if name in RARE else 2
            assert CAMVID_SHARES[name] / band < share < CAMVID_SHARES[name] * band, (name, share)

    def test_colour_alone_does_not_tell_the_class(self, sample):
        (images, masks), (new_images, new_masks) = sample
        counts = np.zeros((VOID, 32, 32, 32))
        known, new = masks != VOID, new_masks != VOID
        np.add.at(counts, (masks[known], *(images[known] // 8).T), 1)
        # Smoothing shares counts among neighbouring colours, so that rare colours are judged too.
        for axis in (1, 2, 3):
            padded = np.pad(counts, [(0, 0)] + [(1, 1) if a == axis else (0, 0) for a in (1, 2, 3)], mode="edge")
            before, after = (np.take(padded, range(start, start + 32), axis=axis) for start in (0, 2))
            counts = 0.6 * counts + 0.2 * before + 0.2 * after
        best = (counts + 1e-9 * counts.sum(axis=(1, 2, 3), keepdims=True)).argmax(axis=0)
        fitted = (best[tuple((images[known] // 8).T)] == masks[known]).mean()
        accuracy = (best[tuple((new_images[new] // 8).T)] == new_masks[new]).mean()
        assert fitted > accuracy > 0.40, "the classifier is meant to be a strong one"
        assert accuracy < 0.65

    def test_position_alone_does_not_tell_the_class(self, sample):
        (_, masks), (_, new_masks) = sample
        votes = np.stack([(masks == code).sum(axis=0) for code in range(VOID)])
        best, counted = votes.argmax(axis=0), new_masks != VOID
        accuracy = (best[None] == new_masks)[counted].mean()
        always_road = (new_masks == CLASS_NAMES.index("Road"))[counted].mean()
        assert always_road < 0.45 < accuracy < 0.78

    def test_layouts_vary(self, sample):
        (_, masks), _ = sample
        road, sky = masks == CLASS_NAMES.index("Road"), masks == CLASS_NAMES.index("Sky")
        assert road.mean(axis=(1, 2)).std() > 0.05 and sky.mean(axis=(1, 2)).std() > 0.05
        left, right = masks[:, :, :64], masks[:, :, 64:][:, :, ::-1]
        assert (left != right).mean() > 0.25


class TestFolder:
    def test_layout(self, tmp_path):
        assert make_street_scenes.make_street_scenes(tmp_path / "scenes", **SMALL) is True
        root = tmp_path / "scenes"
        assert (root / "codes.txt").read_text().split() == list(CLASS_NAMES)
        stems = [stem for split in ("train", "val", "test") for stem in (root / f"{split}.txt").read_text().split()]
        assert len(set(stems)) == 4
        for stem in stems:
            image, mask = Image.open(root / "images" / f"{stem}.png"), Image.open(root / "labels" / f"{stem}.png")
            assert (image.mode, image.size, mask.mode, mask.size) == ("RGB", (64, 48), "L", (64, 48))
        assert names(tmp_path) == ["scenes"]

    def test_scenes_do_not_depend_on_how_many_there_are_or_who_paints_them(self, tmp_path, monkeypatch):
        make_street_scenes.make_street_scenes(tmp_path / "few", **SMALL)
        monkeypatch.setattr(_scene_workers, "WORTH_A_PROCESS", 1)
        monkeypatch.setattr(_scene_workers, "available_cores", lambda: 2)
        make_street_scenes.make_street_scenes(tmp_path / "more", **{**SMALL, "n_train": 3, "n_val": 2})
        few, more = contents(tmp_path / "few"), contents(tmp_path / "more")
        pictures = [name for name in few if name.endswith(".png")]
        assert len(pictures) == 8 and all(few[name] == more[name] for name in pictures)

    def test_scenes_of_different_splits_differ(self, sample):
        (train, _), (val, _) = sample
        assert not (train[:20] == val).all(axis=(1, 2, 3)).any()

    def test_second_run_is_a_no_op_and_damage_is_noticed(self, tmp_path):
        make_street_scenes.make_street_scenes(tmp_path / "scenes", **SMALL)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        assert make_street_scenes.make_street_scenes(tmp_path / "scenes", **SMALL) is False
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        (tmp_path / "scenes" / "labels" / "val_0000.png").unlink()
        with pytest.raises(FileExistsError, match="or not all of them"):
            make_street_scenes.make_street_scenes(tmp_path / "scenes", **SMALL)

    def test_failure_leaves_nothing_and_keeps_what_was_there(self, tmp_path, monkeypatch):
        make_street_scenes.make_street_scenes(tmp_path / "scenes", **SMALL)
        before = contents(tmp_path)

        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(make_street_scenes, "paint_all", interrupt)
        for dest in ("scenes", "new"):
            with pytest.raises(KeyboardInterrupt):
                make_street_scenes.make_street_scenes(tmp_path / dest, **{**SMALL, "seed": 6}, force=True)
        assert contents(tmp_path) == before
        assert names(tmp_path) == ["scenes"]

    def test_a_failing_helper_process_is_reported(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_scene_workers, "WORTH_A_PROCESS", 1)
        monkeypatch.setattr(_scene_workers, "available_cores", lambda: 2)
        (tmp_path / "labels").mkdir()
        tasks = [{"stem": f"{i}", "seed": [i], "height": 1, "width": 1} for i in range(2)]
        with pytest.raises(RuntimeError, match="1x1 pixels is too small"):
            _scene_workers.paint_all(tmp_path, tasks, lambda n: None)

    def test_helpers_that_run_are_ended_when_a_later_one_does_not_start(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_scene_workers, "WORTH_A_PROCESS", 1)
        monkeypatch.setattr(_scene_workers, "available_cores", lambda: 2)
        started = []

        def start_one_only(*_):
            if started:
                raise OSError("no more processes")
            started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"]))
            return started[0]

        monkeypatch.setattr(_scene_workers, "start_helper", start_one_only)
        try:
            with pytest.raises(OSError, match="no more processes"):
                _scene_workers.paint_all(tmp_path, [{}, {}], lambda n: None)
            assert started[0].poll() is not None
        finally:
            started[0].kill()
            started[0].wait()

    @pytest.mark.skipif(os.name == "nt", reason="a script stands for the interpreter")
    def test_a_helper_that_dies_before_it_reads_its_list_says_why(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_scene_workers, "available_cores", lambda: 2)
        (tmp_path / "labels").mkdir()
        (tmp_path / "python").write_text("#!/bin/sh\nexec <&-\necho no module named numpy >&2\nexit 1\n")
        (tmp_path / "python").chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        with pytest.raises(RuntimeError, match="no module named numpy"):
            _scene_workers.paint_all(tmp_path, [{"stem": "long" * 1000}] * 64, lambda n: None)

    def test_a_helper_that_ends_without_a_word_is_reported_too(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_scene_workers, "available_cores", lambda: 2)
        (tmp_path / "labels").mkdir()

        programs = iter(["import time; time.sleep(120)", "raise SystemExit(7)"])
        monkeypatch.setattr(
            _scene_workers, "start_helper", lambda *_: subprocess.Popen([sys.executable, "-c", next(programs)])
        )
        with pytest.raises(RuntimeError, match=r"failed: it ended with exit code 7$"):
            _scene_workers.paint_all(tmp_path, [{}] * 64, lambda n: None)

    def test_a_full_disk_under_the_helpers_is_one_sentence(self, tmp_path):
        """A limit on the size of a file stands for the full disk: writes fail in the same way, with another number."""
        resource = pytest.importorskip("resource")
        limit = (
            "import resource\n"
            "from data_scripts import _scene_workers\n"
            "_scene_workers.WORTH_A_PROCESS, _scene_workers.available_cores = 1, lambda: 2\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, {resource.RLIM_INFINITY}))\n"
        )
        process = start(tmp_path / "scenes", *FLAGS, before=limit)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 1
        says = "error: a process that paints scenes failed: the disk is full or a quota is reached"
        assert err.splitlines()[-1].startswith(says) and "Traceback" not in err
        assert err.count("free some space") == 1
        assert names(tmp_path) == []

    @pytest.mark.parametrize(
        ("setting", "value"),
        [("n_train", 0), ("n_val", -1), ("n_test", True), ("height", 31), ("width", 64.0), ("seed", -1)],
    )
    def test_bad_settings_are_named(self, tmp_path, setting, value):
        with pytest.raises(ValueError, match=f"{setting} is {value}: give an integer"):
            make_street_scenes.make_street_scenes(tmp_path / "scenes", **{**SMALL, setting: value})
        assert not list(tmp_path.iterdir())


class TestSeveralRuns:
    def test_two_runs_at_once_paint_once(self, tmp_path):
        dest = tmp_path / "scenes"
        holding = (
            "import pathlib, time\n"
            "original = make_street_scenes.paint_all\n"
            "def held(*arguments):\n"
            f"    pathlib.Path({str(tmp_path)!r}, 'painting').touch()\n"
            f"    while not pathlib.Path({str(tmp_path)!r}, 'go').exists():\n"
            "        time.sleep(0.02)\n"
            "    original(*arguments)\n"
            "make_street_scenes.paint_all = held\n"
        )
        first = start(dest, *FLAGS, before=holding)
        try:
            wait_until((tmp_path / "painting").exists)
            second = start(dest, *FLAGS)
            note = "Another run is preparing"
            assert second.stderr.read(len(note) + 1).strip() == note
            assert not dest.exists()
        finally:
            (tmp_path / "go").touch()
            said, _ = first.communicate(timeout=120)
        assert said.startswith("painted 4 scenes")
        assert second.communicate(timeout=120)[0].startswith("already there")
        assert first.returncode == second.returncode == 0
        assert names(tmp_path) == ["go", "painting", "scenes"]

    def test_waiting_for_another_run_leaves_no_output_where_bars_are_hidden(self, tmp_path, monkeypatch, capfd):
        """As in the kernels of the notebook tests: whoever comes second shows the saved output all the same."""
        monkeypatch.setenv("TQDM_DISABLE", "1")
        make_street_scenes.make_street_scenes(tmp_path / "finished", **SMALL)
        looked, results, check = threading.Event(), [], make_street_scenes.check_destination

        def noted(*arguments):
            check(*arguments)
            looked.set()

        monkeypatch.setattr(make_street_scenes, "check_destination", noted)
        late = threading.Thread(
            target=lambda: results.append(make_street_scenes.make_street_scenes(tmp_path / "scenes", **SMALL))
        )
        with workplace(tmp_path / "scenes"):
            late.start()
            assert looked.wait(60)
            time.sleep(0.2)  # it is at the lock by now; if not, this test passes without having tested the waiting
            (tmp_path / "finished").rename(tmp_path / "scenes")
        late.join(60)
        assert results == [False]
        assert capfd.readouterr() == ("", "")

    def test_scenes_that_appear_between_two_looks_are_taken(self, tmp_path, monkeypatch):
        make_street_scenes.make_street_scenes(tmp_path / "scenes", **SMALL)
        first_look, is_made = iter([False]), make_street_scenes.is_made
        monkeypatch.setattr(
            make_street_scenes, "is_made", lambda *given: next(first_look, None) is None and is_made(*given)
        )
        assert make_street_scenes.make_street_scenes(tmp_path / "scenes", **SMALL) is False

    @pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
    def test_a_run_killed_between_the_two_renames_is_put_right_by_the_next(self, tmp_path):
        dest = tmp_path / "scenes"
        make_street_scenes.make_street_scenes(dest, **SMALL)
        before = contents(dest)
        process = start(dest, *FLAGS, "--seed", "6", "--force", before=BETWEEN_THE_RENAMES)
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL and not dest.exists()
        assert make_street_scenes.make_street_scenes(dest, **SMALL) is False
        assert contents(dest) == before and names(tmp_path) == ["scenes"]

    def test_what_a_killed_run_had_painted_is_removed_by_the_next(self, tmp_path):
        stale = tmp_path / ".scenes.part" / "scratch-of-a-killed-run" / "new" / "labels"
        stale.mkdir(parents=True)
        (stale / "train_0000.png").write_bytes(b"half of it")
        assert make_street_scenes.make_street_scenes(tmp_path / "scenes", **SMALL) is True
        assert names(tmp_path) == ["scenes"]


class TestCommandLine:
    def test_makes_then_does_nothing_then_refuses_then_forces(self, tmp_path, capsys):
        dest = tmp_path / "scenes"
        assert main(["--dest", str(dest), *FLAGS]) == 0
        assert capsys.readouterr().out.startswith("painted 4 scenes of 48x64 pixels in ")
        assert main(["--dest", str(dest), *FLAGS]) == 0
        assert capsys.readouterr().out.startswith("already there")
        assert_refused(["--dest", str(dest), *FLAGS, "--seed", "6"], capsys, "street scenes of other settings.*--force")
        assert json.loads((dest / "settings.json").read_text())["seed"] == 5
        assert main(["--dest", str(dest), *FLAGS, "--seed", "6", "--force"]) == 0
        assert json.loads((dest / "settings.json").read_text())["seed"] == 6

    def test_refuses_a_folder_of_something_else(self, tmp_path, capsys):
        (tmp_path / "letters.txt").write_text("dear reader")
        for force in ([], ["--force"]):
            assert_refused(
                ["--dest", str(tmp_path), *FLAGS, *force], capsys, "holds other things, such as 'letters.txt'"
            )
        assert contents(tmp_path) == {"letters.txt": b"dear reader"}

    @pytest.mark.parametrize(
        ("foreign", "named"),
        [
            (".git/config", ".git"),
            (".ipynb_checkpoints/thesis-checkpoint.ipynb", ".ipynb_checkpoints"),
            (".DS_Store/thesis.txt", ".DS_Store"),
            (".directory", ".directory"),
            ("codes.txt/thesis.txt", "codes.txt"),
            ("images/my_holiday.png", "images/my_holiday.png"),
            ("images/train_0000.jpg", "images/train_0000.jpg"),
            ("labels/train_0000.txt", "labels/train_0000.txt"),
            ("labels/sub/thesis.txt", "labels/sub"),
            ("labels/.ipynb_checkpoints/thesis-checkpoint.ipynb", "labels/.ipynb_checkpoints"),
        ],
    )
    def test_force_takes_nothing_along_that_lies_among_the_scenes(self, foreign, named, tmp_path, capsys):
        dest = tmp_path / "scenes"
        assert main(["--dest", str(dest), *FLAGS]) == 0
        if foreign.startswith("codes.txt"):
            (dest / "codes.txt").unlink()
        (dest / foreign).parent.mkdir(exist_ok=True)
        (dest / foreign).write_text("years of work")
        flags = ["--dest", str(dest), *FLAGS, "--seed", "6", "--force"]
        assert_refused(flags, capsys, f"such as {re.escape(repr(named))}")
        assert (dest / foreign).read_text() == "years of work"

    def test_a_file_in_the_place_of_the_pictures_is_somebodys(self, tmp_path, capsys):
        main(["--dest", str(tmp_path / "scenes"), *FLAGS])
        shutil.rmtree(tmp_path / "scenes" / "images")
        (tmp_path / "scenes" / "images").write_text("a list of pictures")
        assert_refused(["--dest", str(tmp_path / "scenes"), *FLAGS, "--force"], capsys, "such as 'images'")
        assert (tmp_path / "scenes" / "images").read_text() == "a list of pictures"

    def test_what_systems_leave_behind_does_not_keep_force_from_replacing(self, tmp_path):
        dest = tmp_path / "scenes"
        main(["--dest", str(dest), *FLAGS])
        for litter in (".DS_Store", "Thumbs.db", "images/.DS_Store", "labels/Thumbs.db"):
            (dest / litter).write_text("")
        assert main(["--dest", str(dest), *FLAGS, "--seed", "6", "--force"]) == 0
        assert len(list(dest.rglob("*"))) == 15

    @pytest.mark.parametrize(
        "change", [{"editor": 1}, {"painter": None}, {"painter": "vim"}, {"n_val": True}, {"width": 64.0}]
    )
    def test_only_exactly_our_settings_make_street_scenes(self, change, tmp_path, capsys):
        main(["--dest", str(tmp_path / "scenes"), *FLAGS])
        file = tmp_path / "scenes" / "settings.json"
        settings = json.loads(file.read_text()) | change
        file.write_text(json.dumps({name: value for name, value in settings.items() if value is not None}))
        before = contents(tmp_path)
        assert_refused(["--dest", str(tmp_path / "scenes"), *FLAGS, "--force"], capsys, "holds other things")
        assert contents(tmp_path) == before

    def test_settings_of_something_else_make_no_street_scenes(self, tmp_path, capsys):
        (tmp_path / "settings.json").write_text('{"editor": 1}')
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "mine.png").write_text("mine")
        assert_refused(["--dest", str(tmp_path), *FLAGS, "--force"], capsys, "such as 'images/mine.png'")
        assert (tmp_path / "images" / "mine.png").exists()

    def test_the_folder_we_work_in_stays_also_when_it_is_empty(self, tmp_path, capsys, monkeypatch):
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
        assert_refused(["--dest", ".", *FLAGS], capsys, "holds the folder you work in")

    @pytest.mark.parametrize(
        "flag, value",
        [
            ("--height", "4097"),
            ("--width", "200000"),
            ("--n-train", "1000000000"),
            ("--n-val", "100001"),
            ("--n-test", "100001"),
        ],
    )
    def test_more_than_a_machine_can_hold_is_refused(self, flag, value, tmp_path, capsys):
        assert_refused(["--dest", str(tmp_path / "scenes"), *FLAGS, flag, value], capsys, "or less")

    def test_force_replaces_nothing_but_street_scenes(self, tmp_path, capsys):
        scenes = tmp_path / "scenes"
        main(["--dest", str(scenes), *FLAGS])
        (scenes / "thesis.txt").write_text("all of it")
        assert_refused(["--dest", str(scenes), *FLAGS, "--seed", "6", "--force"], capsys, "such as 'thesis.txt'")
        assert_refused(["--dest", str(tmp_path), *FLAGS, "--force"], capsys, "such as 'scenes'")
        assert (scenes / "thesis.txt").read_text() == "all of it"

    def test_force_never_replaces_the_folder_one_works_in(self, tmp_path, monkeypatch, capsys):
        (tmp_path / "below").mkdir()
        monkeypatch.chdir(tmp_path / "below")
        assert_refused(["--dest", str(tmp_path), *FLAGS, "--force"], capsys, "holds the folder you work in")

    @pytest.mark.skipif(os.name == "nt", reason="links need a permission on Windows")
    def test_never_replaces_what_a_link_leads_to(self, tmp_path, capsys):
        make_street_scenes.make_street_scenes(tmp_path / "scenes", **SMALL)
        (tmp_path / "link").symlink_to("scenes")
        before = contents(tmp_path / "scenes")
        flags = ["--dest", str(tmp_path / "link"), *FLAGS, "--seed", "6", "--force"]
        assert_refused(flags, capsys, "link is not an ordinary folder")
        assert contents(tmp_path / "scenes") == before

    @pytest.mark.parametrize(
        "error", [ValueError("path is on mount 'D:', start on mount 'C:'"), FileNotFoundError("no current folder")]
    )
    def test_a_folder_that_has_no_relative_path_is_named_in_full(self, error, tmp_path, monkeypatch, capsys):
        def refuse(*_):
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(os.path, "relpath", refuse)
            assert main(["--dest", str(tmp_path / "scenes"), *FLAGS]) == 0
        assert capsys.readouterr().out == f"painted 4 scenes of 48x64 pixels in {tmp_path / 'scenes'}\n"

    def test_the_handler_of_a_polite_kill_is_put_back(self, tmp_path):
        before = signal.getsignal(signal.SIGTERM)
        main(["--dest", str(tmp_path / "scenes"), *FLAGS])
        assert signal.getsignal(signal.SIGTERM) is before

    def test_the_command_runs_in_a_thread_too(self, tmp_path):
        """Only the main thread may handle signals."""
        codes = []
        thread = threading.Thread(target=lambda: codes.append(main(["--dest", str(tmp_path / "scenes"), *FLAGS])))
        thread.start()
        thread.join(60)
        assert codes == [0]

    def test_ctrl_c_ends_in_one_sentence(self, tmp_path, monkeypatch, capsys):
        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(make_street_scenes, "paint_all", interrupt)
        monkeypatch.setenv("TQDM_DISABLE", "1")
        assert main(["--dest", str(tmp_path / "scenes"), *FLAGS]) == 130
        out, err = capsys.readouterr()
        assert out == "" and err == f"interrupted: {tmp_path / 'scenes'} is as it was\n"

    @pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
    @pytest.mark.parametrize(("kind", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_interrupted_leaves_nothing(self, tmp_path, kind, status):
        command = [sys.executable, "-m", "data_scripts.make_street_scenes", "--dest", str(tmp_path / "scenes")]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)
        wait_until(lambda: list(tmp_path.glob(".scenes.part/scratch-*/new/labels/*.png")))
        assert process.poll() is None, "the interruption is meant to come in the middle"
        process.send_signal(kind)
        assert process.wait(timeout=120) == status
        assert names(tmp_path) == []


def assert_refused(flags: list[str], capsys: pytest.CaptureFixture, says: str) -> None:
    """Exit code 1, and one sentence."""
    capsys.readouterr()
    assert main(flags) == 1
    sentence = capsys.readouterr().err
    assert re.fullmatch(f"error: .*{says}.*\n", sentence), sentence
