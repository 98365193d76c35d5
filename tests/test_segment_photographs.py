"""Photographs segmented from the command line, with a network out of a file."""

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils import camvid_options, segment_photographs, train_camvid
from course_utils.averaged_views import AveragedViews
from course_utils.classes import CLASS_NAMES
from course_utils.plots import overlay
from course_utils.segmentation import segment_photograph
from course_utils.trained_network import load_network, save_network

CHEAPEST = "--size 64 64 --last-cross --block bottleneck --tail merged --middle bottleneck"
NETWORKS = {
    "the course's": "--size 64 96",
    "another": "--size 64 64 --block res --last-cross --bottle --norm None",
    "the cheapest": CHEAPEST,
}


def write_network(path, options):
    args = camvid_options.parse_command(["--encoder", "resnet18", "--random", *options.split()])
    model = train_camvid.build(args, len(CLASS_NAMES)).eval()
    save_network(path, model, vars(args), CLASS_NAMES)
    return model


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.pt"
    write_network(path, NETWORKS["the course's"])
    return path


@pytest.fixture
def street(tmp_path):
    path = tmp_path / "street.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8)).save(path)
    return path


def run(*arguments):
    return segment_photographs.main([str(argument) for argument in (*arguments, "--device", "cpu")])


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_out_of_a_file_answers_as_it_did(kind, tmp_path):
    model = write_network(tmp_path / "weights.pt", NETWORKS[kind])
    again = load_network(tmp_path / "weights.pt").model
    x = torch.randn(1, 3, 64, 80)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))


@pytest.mark.parametrize("flips", [False, True])
def test_mask_and_overlay_are_those_of_segment_photograph(weights, street, tmp_path, flips, capsys):
    out = tmp_path / "a" / "out"
    assert run(street, "--weights", weights, "--out", out, *(["--flips"] if flips else [])) == 0
    assert sorted(path.name for path in out.iterdir()) == ["street.mask.png", "street.overlay.png"]
    trained = load_network(weights)
    _, codes = segment_photograph(AveragedViews(trained.model) if flips else trained.model, str(street), (64, 96))
    with Image.open(out / "street.mask.png") as mask, Image.open(out / "street.overlay.png") as drawn:
        assert mask.size == (150, 90) and mask.mode == "L"
        rows, columns = (
            (2 * np.arange(n) + 1) * small // (2 * n) for n, small in zip((90, 150), codes.shape, strict=True)
        )
        assert (np.array(mask) == codes[rows][:, columns]).mean() > 0.98, (
            "the code at each pixel's centre, but for ties"
        )
        with Image.open(street) as photograph:
            assert np.array_equal(np.array(drawn), overlay(np.array(photograph), np.array(mask), codes=CLASS_NAMES))
    said = capsys.readouterr()
    assert "street.jpg: " in said.out + said.err and "%" in said.out + said.err


def test_a_turned_photograph_gets_an_upright_mask(weights, street, tmp_path):
    turned, exif = tmp_path / "turned.jpg", Image.Exif()
    exif[0x0112] = 6
    with Image.open(street) as picture:
        picture.save(turned, exif=exif)
    assert run(turned, "--weights", weights, "--out", tmp_path / "out") == 0
    with Image.open(tmp_path / "out" / "turned.mask.png") as mask:
        assert mask.size == (90, 150)


def test_what_is_wrong_is_said_before_anything_is_written(weights, street, tmp_path, capsys):
    text, state, other = tmp_path / "text.jpg", tmp_path / "state.pt", tmp_path / "other" / "street.png"
    text.write_text("no picture")
    torch.save({"head.0.weight": torch.zeros(1)}, state)
    other.parent.mkdir()
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(weights.read_bytes()[:5000])
    saved = torch.load(weights, weights_only=True)
    for name, codes in (("unfit", ["a", "b"]), ("nested", [["a"]] * 12), ("word", "abcdefghijkl")):
        torch.save(saved | {"codes": codes}, tmp_path / f"{name}.pt")
    flipped = bytearray(weights.read_bytes())
    flipped[len(flipped) // 2] ^= 255
    (tmp_path / "flipped.pt").write_bytes(flipped)
    cut, strip, vast = tmp_path / "cut.jpg", tmp_path / "strip.png", tmp_path / "vast.png"
    cut.write_bytes(street.read_bytes()[:-100])
    Image.new("RGB", (4000, 4)).save(strip)
    Image.new("1", (20000, 20000)).save(vast)
    for photographs, file, said in (
        ([street, cut], weights, "cut.jpg cannot be read as a picture (image file is truncated"),
        ([street, strip], weights, "strip.png has 4000 × 4 pixels"),
        ([street, vast], weights, "vast.png cannot be read as a picture"),
        ([street, tmp_path], weights, f"{tmp_path} is a folder; name the photographs in it"),
        ([street, text], weights, "text.jpg"),
        ([tmp_path / "none.jpg"], weights, "none.jpg"),
        ([street, other], weights, "two photographs are called street"),
        ([street], tmp_path / "none.pt", "none.pt"),
        ([street], text, "text.jpg holds no weights, or is damaged"),
        ([street], damaged, "damaged.pt holds no weights, or is damaged"),
        (
            [street],
            state,
            "state.pt does not say what network its weights are of, nor does a --checkpoint; take",
        ),
        ([street], tmp_path / "unfit.pt", "unfit.pt is damaged, or from another version"),
        ([street], tmp_path / "nested.pt", "nested.pt is damaged, or from another version"),
        ([street], tmp_path / "word.pt", "word.pt is damaged, or from another version"),
        ([street], tmp_path / "flipped.pt", "flipped.pt holds no weights, or is damaged"),
    ):
        assert run(*photographs, "--weights", file, "--out", tmp_path / "out") == 1
        err = capsys.readouterr().err
        assert err.startswith("segment_photographs: ") and said in err and err.count("\n") == 1
        assert not (tmp_path / "out").exists()


def test_a_place_for_answers_that_will_not_do_is_refused_before_anything_is_written(weights, street, tmp_path, capsys):
    taken, folder = tmp_path / "taken", tmp_path / "folder"
    taken.write_text("a file")
    (folder / "street.mask.png").mkdir(parents=True)
    other = tmp_path / "street.mask.png"
    Image.new("RGB", (40, 40)).save(other)
    for photographs, out, said in (
        ([street], taken, f"--out {taken} is no folder, nor can it be made"),
        ([street], taken / "below", "is no folder, nor can it be made"),
        ([street], folder, "street.mask.png is a folder"),
        ([street, other], tmp_path, "street.mask.png is one of the photographs, and would be replaced"),
    ):
        before = sorted(tmp_path.rglob("*")), other.read_bytes()
        assert run(*photographs, "--weights", weights, "--out", out) == 1
        err = capsys.readouterr().err
        assert err.startswith("segment_photographs: ") and said in err and err.count("\n") == 1
        assert (sorted(tmp_path.rglob("*")), other.read_bytes()) == before
    with pytest.raises(SystemExit):
        run(street, "--weights", weights, "--out", "")
    assert "the name is empty" in capsys.readouterr().err
