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
    unfit = tmp_path / "unfit.pt"
    torch.save(torch.load(weights, weights_only=True) | {"codes": ["a", "b"]}, unfit)
    for photographs, file, said in (
        ([street, text], weights, "text.jpg"),
        ([tmp_path / "none.jpg"], weights, "none.jpg"),
        ([street, other], weights, "two photographs are called street"),
        ([street], tmp_path / "none.pt", "none.pt"),
        ([street], text, "text.jpg holds no weights, or is damaged"),
        ([street], damaged, "damaged.pt holds no weights, or is damaged"),
        ([street], state, "state.pt was not written by python -m course_utils.train_camvid --save-weights"),
        ([street], unfit, "unfit.pt is damaged, or from another version"),
    ):
        assert run(*photographs, "--weights", file, "--out", tmp_path / "out") == 1
        err = capsys.readouterr().err
        assert err.startswith("segment_photographs: ") and said in err and err.count("\n") == 1
        assert not (tmp_path / "out").exists()
