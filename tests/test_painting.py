"""The painting: strokes that repeat, files that are checked, and nothing half-written."""

import http.server
import threading

import numpy as np
import pytest
from PIL import Image

from data_scripts._download import Patience
from data_scripts._errors import DataError
from data_scripts.painting import load_painting, main, paint_lily_pond, prepare_painting

HASTY = Patience(connect_s=2, read_s=2, tries=1, pause_s=0)


@pytest.fixture(scope="module")
def pond():
    return paint_lily_pond(128, 160, seed=3)


def test_the_same_seed_paints_the_same_and_another_seed_another(pond):
    assert np.array_equal(pond, paint_lily_pond(128, 160, seed=3))
    assert not np.array_equal(pond, paint_lily_pond(128, 160, seed=4))
    assert pond.shape == (128, 160, 3) and pond.dtype == np.uint8


def test_the_palette_has_colour_and_no_black(pond):
    high, low = pond.max(2).astype(float), pond.min(2).astype(float)
    assert (high < 40).mean() < 0.01
    assert ((high - low) / high.clip(1)).mean() > 0.25


def test_strokes_are_visible(pond):
    grey = pond.mean(2)
    smooth = np.asarray(Image.fromarray(grey.astype(np.uint8)).resize((20, 16)).resize((160, 128), Image.BICUBIC))
    assert np.abs(grey - smooth).mean() > 8


def test_a_picture_of_yours_is_taken(tmp_path, pond):
    Image.fromarray(pond).save(tmp_path / "mine.png")
    assert prepare_painting(tmp_path / "p.png", source=tmp_path / "mine.png")
    assert np.array_equal(load_painting(tmp_path / "p.png"), pond)


def test_a_second_run_does_nothing(tmp_path, capsys):
    dest = tmp_path / "new" / "p.png"
    assert main(["--dest", str(dest)]) == 0
    before = dest.stat().st_mtime_ns
    assert main(["--dest", str(dest)]) == 0
    assert "already" in capsys.readouterr().out
    assert dest.stat().st_mtime_ns == before
    assert [path.name for path in dest.parent.iterdir()] == ["p.png"]


def test_without_a_prepared_one_the_pond_is_painted(tmp_path, capsys):
    assert load_painting(tmp_path / "none.png").shape == (384, 512, 3)
    assert "lily pond" in capsys.readouterr().out


def test_what_is_transparent_lies_on_white(tmp_path, pond):
    layer = Image.fromarray(pond).convert("RGBA")
    layer.paste((10, 20, 30, 0), (0, 0, 80, 128))
    layer.save(tmp_path / "cut.png")
    found = load_painting(tmp_path / "cut.png")
    assert (found[:, :80] == 255).all() and np.array_equal(found[:, 80:], pond[:, 80:])


def test_others_may_read_it_as_any_new_file(tmp_path):
    (tmp_path / "other").write_text("")
    prepare_painting(tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_an_interrupt_leaves_what_was_there(tmp_path, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    (tmp_path / "p.png").write_text("old")
    monkeypatch.setattr(Image.Image, "save", interrupted)
    assert main(["--force", "--dest", str(tmp_path / "p.png")]) == 130
    assert "is as it was" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def _small(path):
    Image.new("RGB", (100, 300)).save(path)


def _stretched(path):
    Image.new("RGB", (2000, 200)).save(path)


def _sixteen_bits(path):
    Image.fromarray(np.full((200, 200), 40_000, np.uint16)).save(path)


def _cut_off(path):
    Image.fromarray(paint_lily_pond(128, 160)).save(path)
    path.write_bytes(path.read_bytes()[:500])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no file"),
        (lambda path: path.write_text("words"), "cannot be read as a picture"),
        (_small, "100 × 300"),
        (_stretched, "2000 × 200 pixels: brush strokes need 128 or more, and a picture at most 8 times"),
        (_sixteen_bits, "more than 8 bits"),
        (_cut_off, "is truncated); take another copy of the file"),
        (lambda path: path.mkdir(), "system refused"),
    ],
)
def test_what_cannot_be_taken_ends_with_one_sentence_and_no_file(tmp_path, capsys, make, said):
    make(tmp_path / "mine.png")
    assert main(["--from", str(tmp_path / "mine.png"), "--dest", str(tmp_path / "p.png")]) == 1
    message = capsys.readouterr().err
    assert said in message and message.count("\n") == 1
    assert not (tmp_path / "p.png").exists()


def test_two_sources_and_a_folder_as_target_are_refused(tmp_path, capsys):
    assert main(["--from", "x.png", "--fetch", "--dest", str(tmp_path / "p.png")]) == 1
    assert main(["--dest", str(tmp_path)]) == 1
    assert main(["--seed", "-1", "--dest", str(tmp_path / "p.png")]) == 1
    assert capsys.readouterr().err.count("\n") == 3


class _Server(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def served(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *rest: _Server(*rest, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_painting_is_fetched(tmp_path, served, pond):
    folder, url = served
    Image.fromarray(pond).save(folder / "monet.png")
    assert prepare_painting(tmp_path / "p.png", fetch=True, url=f"{url}/monet.png", patience=HASTY)
    assert np.array_equal(load_painting(tmp_path / "p.png"), pond)


@pytest.mark.parametrize("name", ["missing.jpg", "page.html"])
def test_what_is_no_painting_is_refused(tmp_path, served, name):
    folder, url = served
    (folder / "page.html").write_text("<p>Sorry</p>")
    with pytest.raises(DataError, match="leave --fetch out"):
        prepare_painting(tmp_path / "p.png", fetch=True, url=f"{url}/{name}", patience=HASTY)
    assert not (tmp_path / "p.png").exists()
