"""Training from the command line: what it writes, that it repeats, and that it refuses in one sentence."""

import contextlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils import camvid_options, train_camvid
from course_utils.augment import Augment
from course_utils.averaged_views import AveragedViews
from course_utils.camvid import Batches, CachedSplit, load_split, normalise
from course_utils.classes import CLASS_NAMES
from course_utils.command_line import command_again
from course_utils.layers import BottleneckBlock
from course_utils.metrics import pixel_accuracy
from course_utils.segmentation import predict
from course_utils.stages import Stage, train_in_stages
from course_utils.trained_network import load_network
from course_utils.unet import DynamicUnet
from tests.two_halves import write_two_halves

SMALL = ["--size", "64", "64", "--batch-size", "2", "--frozen-epochs", "1", "--half-epochs", "1", "--epochs", "1"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_two_halves(tmp_path_factory.mktemp("data") / "scenes")


def run(root, *options: str) -> int:
    return train_camvid.main(["--data", str(root), "--device", "cpu", *SMALL, *options])


def test_the_results_file_says_what_the_figures_depend_on(root, tmp_path, capsys):
    out, weights, picture = (tmp_path / name for name in ("result.json", "weights.pt", "picture.png"))
    files = ("--out", str(out), "--save-weights", str(weights), "--picture", str(picture))
    assert run(root, "--test", "--seed", "3", *files) == 0
    result = json.loads(out.read_text())
    assert result["data"] == {"name": "scenes", "train": 4, "val": 2, "test": 2}
    assert [row["stage"] for row in result["epochs"]] == ["encoder frozen, half size", "half size", "full size"]
    assert (result["seed"], result["size"], result["pretrained"]) == (3, [64, 64], True)
    assert "--seed 3" in result["command"] and str(tmp_path) not in out.read_text() and str(root) not in out.read_text()
    # Half of every picture is road and half is sky, so position alone decides everything.
    assert result["test"]["baselines"]["most common class at this position"] == 1.0
    assert 0.45 <= result["val"]["baselines"]["most common class"] <= 0.55
    assert 0 <= result["val"]["accuracy"] <= 1
    said = capsys.readouterr().out
    assert "val: pixel accuracy" in said and "test: pixel accuracy" in said and "baselines" in said
    assert "4 pictures to train on, 2 to score; 11 classes, and Void, which nothing counts; epochs: 1 (encoder" in said
    assert all(f"written: {path}\n" in said for path in files[1::2])
    trained = load_network(weights)
    assert (trained.size, trained.codes) == ((64, 64), CLASS_NAMES) and not trained.model.training
    val = load_split(root, "val", (64, 64), torch.device("cpu"))
    assert pixel_accuracy(predict(trained.model, Batches(val, 4)), val.masks) == result["val"]["accuracy"]
    with Image.open(picture) as drawn:
        assert min(drawn.size) > 300


def test_the_picture_shows_what_was_scored(root, tmp_path, monkeypatch):
    scored, drawn = [], []
    judge, draw = train_camvid.judge, train_camvid.draw
    monkeypatch.setattr(train_camvid, "judge", lambda model, *rest: scored.append(type(model)) or judge(model, *rest))
    monkeypatch.setattr(train_camvid, "draw", lambda model, *rest: drawn.append(type(model)) or draw(model, *rest))
    for views in ([], ["--flips"]):
        assert run(root, "--picture", str(tmp_path / "picture.png"), *views) == 0
    assert drawn == scored == [DynamicUnet, AveragedViews]


def test_every_ingredient_runs_and_is_in_the_command(root, tmp_path):
    out, plain = tmp_path / "result.json", tmp_path / "plain.json"
    training = ["--saturation", "0.3", "--balance", "0.5", "--lovasz", "0.5", "--ema", "0.5"]
    assert run(root, "--out", str(plain), *training) == 0
    assert run(root, "--out", str(out), *training, "--flips", "--scales", "0.75", "1.0") == 0
    with_views, without = (json.loads(path.read_text()) for path in (out, plain))
    for words in ("--saturation 0.3", "--balance 0.5", "--lovasz 0.5", "--ema 0.5", "--flips", "--scales 0.75 1.0"):
        assert words in with_views["command"]
    # Views change what is scored at the end, and nothing that was trained.
    losses = [[row["train_loss"] for row in result["epochs"]] for result in (with_views, without)]
    assert losses[0] == losses[1]
    assert with_views["val"]["accuracy"] != without["val"]["accuracy"]


def test_help_tells_the_defaults_of_the_recipe_that_is_named(capsys):
    for words, size in ([], "(176, 240)"), (["--recipe", "strong"], "(360, 480)"):
        with pytest.raises(SystemExit):
            train_camvid.parse_command([*words, "--help"])
        assert f"pixels (default: {size})" in " ".join(capsys.readouterr().out.split())


def test_the_lectures_recipe():
    args = train_camvid.parse_command(["--recipe", "lecture", "--batch-size", "4"])
    assert (args.encoder, args.size, args.batch_size, args.count_void) == ("resnet34", (360, 480), 4, True)
    stages = train_camvid.recipe(args)
    assert [(stage.frozen, stage.epochs, stage.lr[1], stage.pct_start) for stage in stages] == [
        (True, 10, 2e-3, 0.8),
        (False, 12, 2e-3, 0.8),
        (True, 10, 1e-3, 0.8),
        (False, 10, 1e-4, 0.3),
    ]
    # In its notebook each stage took the same time: "go big" changed nothing, for half the size was never passed on.
    assert [stage.size for stage in stages] == [(360, 480)] * 4
    half = train_camvid.recipe(train_camvid.parse_command(["--recipe", "lecture-half"]))
    assert [stage.size for stage in half] == [(180, 240)] * 2 + [(360, 480)] * 2
    assert all(stage.lr[0] == pytest.approx(stage.lr[1] / 10) for stage in stages)
    model = train_camvid.build(train_camvid.parse_command(["--recipe", "lecture", "--random"]), 12)
    # The network without a bottle, less its last residual block of 99 channels, plus one that is 49 wide inside.
    narrowed = 41_222_168 - 2 * (9 * 99 * 99 + 99) + 2 * 9 * 99 * 49 + 49 + 99
    assert sum(parameter.numel() for parameter in model.parameters()) == narrowed
    said = train_camvid.command_again(train_camvid.parser("lecture"), args, train_camvid.PLACES)
    assert said == "python -m course_utils.train_camvid --recipe lecture --batch-size 4"


def test_the_cheap_decoder_and_fast_convolutions_are_options(root, tmp_path):
    out = tmp_path / "result.json"
    options = ["--last-cross", "--block", "bottleneck", "--tail", "unshuffle", "--middle", "bottleneck", "--winograd"]
    model = train_camvid.build(train_camvid.parse_command([*options, "--random"]), 12)
    assert model.fold == 2 and all(isinstance(block.convs[0], BottleneckBlock) for block in model.blocks)
    assert isinstance(model.last_block, BottleneckBlock) and isinstance(model.middle[0], BottleneckBlock)
    assert run(root, *options, "--out", str(out)) == 0
    result = json.loads(out.read_text())
    assert (
        "--block bottleneck --tail unshuffle --middle bottleneck" in result["command"]
        and "--winograd" in result["command"]
    )


def test_in_bfloat16_on_a_cpu_depthwise_gradients_are_taken_over(root, monkeypatch):
    switched = []
    monkeypatch.setattr(train_camvid, "use_float32_depthwise_gradients", switched.append)
    assert run(root, "--amp", "bf16") == run(root) == 0
    assert [type(model) for model in switched] == [train_camvid.DynamicUnet]


def test_the_strong_recipe_runs_at_any_size(root, tmp_path):
    out = tmp_path / "result.json"
    assert run(root, "--recipe", "strong", "--out", str(out)) == 0
    result = json.loads(out.read_text())
    assert result["size"] == [64, 64] and "--recipe strong" in result["command"]
    args = train_camvid.parse_command(["--recipe", "strong"])
    assert (args.size, args.ema, args.flips, args.lovasz) == ((360, 480), 0.99, True, 0.5)


def test_every_command_in_the_readme_can_be_run(monkeypatch):
    monkeypatch.chdir(Path(__file__).resolve().parents[1])
    pages = [Path(name).read_text(encoding="utf-8") for name in ("README.md", "notebooks/results/README.md")]
    commands = [found for page in pages for found in re.findall(r"-m course_utils\.train_camvid((?: [^`\n|]+)?)", page)]
    assert len(commands) >= 12
    for command in commands:
        words = [word for word in command.split() if word != "--help"]
        train_camvid.check(train_camvid.parse_command(words))


@pytest.mark.parametrize(
    ("options", "kind", "void"),
    [([], "CrossEntropyLoss", 11), (["--count-void"], "CrossEntropyLoss", -100), (["--lovasz", "1"], "Lovasz", 11)],
)
def test_which_loss_and_what_it_does_with_void(root, options, kind, void):
    train = train_camvid.load_split(root, "train", (64, 64))
    loss_fn = train_camvid.loss_function(train_camvid.parse_command(options), train)
    assert type(loss_fn).__name__.startswith(kind) and loss_fn.ignore_index == void and loss_fn.weight is None
    balanced = train_camvid.loss_function(train_camvid.parse_command(["--balance", "1"]), train)
    # Sky and road share the pictures half and half; the other classes do not occur.
    assert balanced.weight.tolist() == pytest.approx([1, 0, 0, 1] + [0] * 8)


def test_the_time_to_a_level_counts_full_size_and_no_scoring():
    rows = [
        {"size": [32, 32], "seconds": 9.0, "scoring_seconds": 1.0, "val_accuracy": 0.99},
        {"size": [64, 64], "seconds": 5.0, "scoring_seconds": 2.0, "val_accuracy": 0.905},
        {"size": [64, 64], "seconds": 5.0, "scoring_seconds": 2.0, "val_accuracy": 0.93},
        {"size": [64, 64], "seconds": 5.0, "scoring_seconds": 2.0, "val_accuracy": 0.92},
    ]
    found = train_camvid.seconds_to_levels(rows, (64, 64))
    assert found == {"90.0%": 11.0, "91.5%": 14.0, "93.0%": 14.0, "94.1%": None}


def test_test_is_not_read_unless_asked_for(root, tmp_path, monkeypatch):
    read = []
    original = train_camvid.load_split
    monkeypatch.setattr(train_camvid, "load_split", lambda *a, **k: read.append(a[1]) or original(*a, **k))
    out = tmp_path / "result.json"
    assert run(root, "--out", str(out)) == 0
    assert "test" not in read and {"train", "val"} <= set(read)
    assert "test" not in json.loads(out.read_text())


def test_a_run_repeats_and_a_finished_checkpoint_gives_the_same_figures(root, tmp_path):
    outs = [tmp_path / f"{i}.json" for i in range(3)]
    checkpoint = ["--checkpoint", str(tmp_path / "run.pt")]
    assert run(root, "--out", str(outs[0])) == 0
    assert run(root, "--out", str(outs[1]), *checkpoint) == 0
    assert run(root, "--out", str(outs[2]), *checkpoint) == 0
    results = [json.loads(out.read_text()) for out in outs]
    assert results[0]["val"] == results[1]["val"] == results[2]["val"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere"], "is missing, so nowhere is no prepared data set"),
        (["--encoder", "resnet35"], "resnet35"),
        (["--size", "40", "64"], "--size 40 64 is too small"),
        (["--size", "200000", "200000"], "--size 200000 200000 is too large"),
        (["--size", "3000", "3000", "--scales", "1", "2"], "--scales 2.0 of --size 3000 3000 is too large"),
        (["--frozen-epochs", "0", "--half-epochs", "0", "--epochs", "0"], "no amount of training"),
        (["--out", "no/such/folder/x.json"], "is no folder"),
        (["--batch-size", "9"], "--batch-size 9 is more than the"),
        (["--lr", "-1", "1e-3"], "lr=(-1.0, 0.001)"),
        (["--full-lr", "inf", "1"], "'full size' has lr=(inf, 1.0)"),
        (["--lr", "0", "0", "--frozen-epochs", "0", "--half-epochs", "0"], "lr=(0.0, 0.0)"),
        (["--recipe", "lecture", "--epochs", "5"], "own; leave out --frozen-epochs, --half-epochs, --epochs."),
        (["--scales", "1", "4.5"], "--scales 1.0 4.5"),
        (["--batch-size", "-4"], "--batch-size -4 is not"),
        (["--batch-size", "1", "--frozen-epochs", "0"], "a batch of one picture of 32×32"),
        (["--device", "meta"], "take --device cpu"),
        (["--checkpoint", "k.pt", "--save-weights", "k.stage2.pt"], "name the same file"),
        (["--device", "tpu9"], "tpu9"),
        (["--out", "."], "is a folder"),
        (["--out", "same.x", "--save-weights", "same.x"], "name the same file"),
        (["--picture", "picture.xyz"], "does not end in .png"),
        (["--seed", str(2**70)], "take less than 2**63"),
        (["--scales", "0"], "not positive shares"),
        (["--ema", "1.5"], "--ema 1.5"),
        (["--lovasz", "-1"], "lovasz=-1"),
        (["--balance", "2"], "--balance 2"),
        (["--balance", "0.5", "--count-void"], "exclude each other"),
        (["--last-cross", "--bottle", "--block", "bottleneck"], "--bottle narrows"),
        (["--bottle"], "only --last-cross brings"),
        (["--tail", "merged"], "it takes --last-cross"),
        (["--weight-decay", "-1"], "--weight-decay -1"),
        (["--light", "-3"], "brightness=-3"),
        (["--amp", "fp16", "--device", "cpu"], "take --amp bf16"),
    ],
)
def test_refusals_are_one_sentence(root, options, message, capsys, monkeypatch):
    monkeypatch.setattr("course_utils.training.TrainingRun", None)  # nothing is trained before
    assert train_camvid.main(["--data", str(root), *SMALL, *options]) == 1
    said = capsys.readouterr().err
    assert message in said and said.strip().count("\n") == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--encoder", "foo"],
        ["--ema", "2"],
        ["--lovasz", "nan"],
        ["--zoom", "nan", "1"],
        ["--saturation", "-1"],
        ["--balance", "nan"],
        ["--weight-decay", "nan"],
        ["--weight-decay", "inf"],
    ],
    ids=" ".join,
)
def test_what_no_data_can_mend_is_refused_before_any_are_read(options, capsys, monkeypatch):
    monkeypatch.setattr(train_camvid, "find_data", None)
    assert train_camvid.main(options) == 1
    assert options[1] in capsys.readouterr().err


def test_each_stage_gets_its_own_share_of_steps_on_the_way_up(root):
    def load(split, size):
        return load_split(root, split, size, progress=False)

    model = train_camvid.build(train_camvid.parse_command([*SMALL, "--random"]), 12)
    for share, highest in ((0.3, 3), (0.8, 8)):
        stage = Stage("one", (64, 64), 10, (1e-3, 1e-3), pct_start=share)
        rows = train_in_stages(model, [stage], load, Augment(), batch_size=2, score=False)
        rates = [row["lr"] for row in rows]
        assert rates.index(max(rates)) + 1 == highest


@pytest.mark.parametrize(("option", "said"), [([], "--checkpoint FILE would"), (["--checkpoint", "k.pt"], "goes on")])
def test_an_interrupted_run_says_what_was_kept(option, said, root, capsys, monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_camvid, "train", interrupted)
    monkeypatch.chdir(tmp_path)
    assert run(root, *option) == 130
    assert said in capsys.readouterr().err


def test_the_lectures_recipe_takes_any_size_and_no_other_stages():
    train_camvid.check(train_camvid.parse_command(["--recipe", "lecture", "--size", "64", "96"]))
    train_camvid.check(train_camvid.parse_command(["--recipe", "lecture", "--size", "32", "32"]))
    with pytest.raises(ValueError, match="since half of it must still be 32"):
        train_camvid.check(train_camvid.parse_command(["--recipe", "lecture-half", "--size", "32", "32"]))
    for option in ("--epochs 5", "--frozen-epochs 1", "--half-epochs 0", "--lr 5e-4 5e-3", "--full-lr 1 1"):
        with pytest.raises(ValueError, match=f"leave out {option.split()[0]}\\."):
            train_camvid.check(train_camvid.parse_command(["--recipe", "lecture", *option.split()]))


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_is_refused_on_a_gpu_that_only_emulates_it(supported, monkeypatch):
    args = train_camvid.parse_command(["--amp", "bf16", "--device", "cuda"])
    monkeypatch.setattr(camvid_options, "usable_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation or supported)
    with contextlib.nullcontext() if supported else pytest.raises(ValueError, match="take --amp fp16"):
        train_camvid.check(args)


def test_the_precision_is_checked_on_the_gpu_of_this_process(monkeypatch):
    """Else each of eight processes would open a context on the first GPU."""
    asked = []
    monkeypatch.setattr(camvid_options, "own_device", lambda name: "cuda:5")
    monkeypatch.setattr(camvid_options, "usable_device", lambda name: asked.append(name) or torch.device("cpu"))
    train_camvid.check(train_camvid.parse_command(["--amp", "bf16"]))
    assert asked == ["cuda:5"]


def test_a_checkpoint_of_other_stages_is_another_recipe(tmp_path):
    """Under one name, stages could change from one release to the next: half size is not full size."""
    args = train_camvid.parse_command(["--recipe", "lecture"])
    was = train_camvid._fingerprint(args, tmp_path)
    args.recipe = "lecture-half"
    stages = [json.loads(one)["stages"] for one in (was, train_camvid._fingerprint(args, tmp_path))]
    assert stages[0][0] != stages[1][0] and stages[0][2:] == stages[1][2:]


def test_a_device_that_is_not_there_is_named_with_mixed_precision_too():
    with pytest.raises(ValueError, match="--device bogus cannot be used here"):
        train_camvid.check(train_camvid.parse_command(["--amp", "fp16", "--device", "bogus"]))


def test_weights_are_written_before_scoring_can_fail(root, tmp_path, monkeypatch, capsys):
    weights = tmp_path / "weights.pt"
    monkeypatch.setattr(train_camvid, "judge", lambda *arguments: torch.zeros(2**60))
    assert run(root, "--save-weights", str(weights), "--out", str(tmp_path / "x.json")) == 1
    assert load_network(weights).codes == CLASS_NAMES
    assert list(tmp_path.iterdir()) == [weights]


def test_weights_that_cannot_be_written_cost_neither_the_scores_nor_a_traceback(root, tmp_path, monkeypatch, capsys):
    out, weights = tmp_path / "x.json", tmp_path / "weights.pt"

    def full_disk(*arguments):
        raise RuntimeError("unexpected pos 12 vs 10")

    monkeypatch.setattr(train_camvid.torch, "save", full_disk)
    assert run(root, "--save-weights", str(weights), "--out", str(out)) == 1
    said = capsys.readouterr().err
    assert f"the weights could not be written to {weights}" in said and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == [out] and "val" in json.loads(out.read_text())


def test_a_class_that_occurs_nowhere_is_null(root):
    train, val = (train_camvid.load_split(root, split, (64, 64)) for split in ("train", "val"))
    all_sky = torch.nn.Conv2d(3, 12, 1)
    torch.nn.init.zeros_(all_sky.weight)
    all_sky.bias.data = torch.arange(12.0).flip(0)
    found = train_camvid.judge(all_sky, train, val, 2)
    assert found["iou"] == {name: None for name in train.codes if name != "Void"} | {"Sky": 0.5, "Road": 0.0}
    json.dumps(found, allow_nan=False)


def test_a_split_of_several_clips_is_reported_clip_by_clip():
    torch.manual_seed(0)

    def split_of(stems: list[str]) -> CachedSplit:
        images = torch.randint(0, 256, (len(stems), 3, 40, 48), dtype=torch.uint8)
        return CachedSplit(images, torch.randint(0, 4, (len(stems), 40, 48)).byte(), stems, ("a", "b", "c", "Void"), 3)

    train, test = split_of(["day_1", "day_2"]), split_of(["dusk_3", "day_9", "dusk_4", "dusk_f5", "night_1"])
    test.masks[4] = 3
    net = torch.nn.Conv2d(3, 4, 5, padding=2)
    found = train_camvid.judge(net, train, test, 2)
    prediction = predict(net, Batches(test, 1))
    assert found["accuracy"] == pixel_accuracy(prediction, test.masks, 3)
    facts = {clip: (row["pictures"], row["in_train"]) for clip, row in found["clips"].items()}
    assert facts == {"dusk": (3, False), "day": (1, True), "night": (1, False)}
    for clip, at in (("dusk", [0, 2, 3]), ("day", [1])):
        assert found["clips"][clip]["accuracy"] == pixel_accuracy(prediction[at], test.masks[at], 3)
    assert found["clips"]["night"]["accuracy"] is None and json.dumps(found, allow_nan=False)
    assert "clips" not in train_camvid.judge(net, train, train, 2)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_labels_is_refused_before_training(root, tmp_path, capsys, monkeypatch, split):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    void = train_camvid.read_codes(root).index("Void")
    for stem in train_camvid.read_split(root, split):
        Image.new("L", (64, 64), void).save(copy / "labels" / f"{stem}.png")
    monkeypatch.setattr(train_camvid, "train_in_stages", None)
    assert run(copy, "--test") == 1
    assert f"no pixel of {split} has a class" in capsys.readouterr().err


def test_a_checkpoint_of_another_recipe_is_refused(root, tmp_path, capsys):
    checkpoint = ["--checkpoint", str(tmp_path / "run.pt")]
    assert run(root, *checkpoint) == 0
    for other, said in (
        (["--light", "0.4"], "light was 0.1 and is 0.4;"),
        (["--size", "64", "96"], "size was [64, 64] and is [64, 96]"),
        (["--random"], "random was "),
    ):
        assert run(root, *checkpoint, *other) == 1
        told = capsys.readouterr().err.rpartition("\r")[2]
        assert "belongs to another run: " in told and said in told and len(told) < 400


def test_a_damaged_test_picture_is_found_before_training(root, tmp_path, capsys, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    (copy / "images" / "p7.png").write_bytes(b"no picture")
    monkeypatch.setattr(train_camvid, "train_in_stages", None)
    assert run(copy, "--test") == 1
    assert "p7.png cannot be read" in capsys.readouterr().err


def test_what_a_recipe_sets_can_be_unset_and_the_command_says_so():
    words = ["--recipe", "lecture", "--no-bottle", "--block", "bottleneck", "--no-count-void", "--balance", "0.5"]
    args = camvid_options.parse_command([*words, "--device", "cpu"])
    camvid_options.check(args)
    command = command_again(camvid_options.parser("lecture"), args, camvid_options.PLACES)
    again = camvid_options.parse_command(command.split()[3:])
    assert vars(again) | {"device": "cpu"} == vars(args) and "--no-bottle" in command


def test_the_picture_drawn_shows_the_most_classes_and_costs_one_pass_over_one_picture(tmp_path):
    masks = torch.full((3, 40, 48), 11, dtype=torch.uint8)
    masks[0, :20], masks[1, :20], masks[1, 20:] = 3, 3, 4  # void is no class
    masks[2] = 5
    split = CachedSplit(torch.zeros(3, 3, 40, 48, dtype=torch.uint8), masks, ["a", "b", "c"], CLASS_NAMES, 11)
    split.images[1] = 200
    seen = []
    net = torch.nn.Conv2d(3, 12, 1)
    net.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    train_camvid.draw(net, split, tmp_path / "picture.png")
    assert len(seen) == 1 and torch.equal(seen[0], normalise(split.images[1:2]))


def test_the_test_split_is_asked_for_only_where_it_is_scored(root, tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "out.json"
    shutil.copytree(root, data)
    (data / "test.txt").unlink()
    assert run(data, "--out", str(out)) == 0
    assert json.loads(out.read_text())["data"] == {"name": "data", "train": 4, "val": 2}
    assert run(data, "--test") == 1
    assert "test.txt is missing" in capsys.readouterr().err


def test_a_border_without_a_code_is_refused_before_a_picture_is_read(root, tmp_path, capsys, monkeypatch):
    data = tmp_path / "data"
    shutil.copytree(root, data)
    (data / "codes.txt").write_text("\n".join(CLASS_NAMES[:-1]))
    monkeypatch.setattr(train_camvid, "load_split", None)
    for options in (["--degrees", "5"], ["--zoom", "0.75", "1.5"]):
        assert run(data, *options) == 1
        assert "take --degrees 0 --zoom 1 1." in capsys.readouterr().err


def test_a_folder_of_ones_own_as_the_readme_describes_it(tmp_path):
    data, rng = tmp_path / "own", np.random.default_rng(0)
    for folder in ("images", "labels"):
        (data / folder).mkdir(parents=True)
    for i, shape in enumerate([(70, 90), (64, 64), (80, 66), (64, 100)]):
        mask = np.zeros(shape, np.uint8)
        mask[20:50, 20:50] = 1
        picture = rng.integers(0, 90, (*shape, 3)) + 150 * mask[..., None]
        Image.fromarray(picture.astype(np.uint8)).save(data / "images" / (f"a{i}.jpg" if i % 2 else f"a{i}.png"))
        Image.fromarray(mask).save(data / "labels" / f"a{i}.png")
    (data / "codes.txt").write_text("background\ncat\n")
    (data / "train.txt").write_text("a0\na1\na2\n")
    (data / "val.txt").write_text("a3\n")
    out = tmp_path / "out.json"
    assert run(data, "--out", str(out), "--lovasz", "0.5") == 0
    result = json.loads(out.read_text())
    assert set(result["val"]["iou"]) == {"background", "cat"} and result["data"] == {
        "name": "own",
        "train": 3,
        "val": 1,
    }


def test_labels_that_half_the_size_loses_are_refused_before_training(root, tmp_path, capsys, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    void = train_camvid.read_codes(root).index("Void")
    for stem in train_camvid.read_split(root, "train"):
        with Image.open(copy / "labels" / f"{stem}.png") as mask:
            codes = np.array(mask)
        codes[1::2], codes[:, 1::2] = void, void  # a smaller mask copies other pixels
        Image.fromarray(codes).save(copy / "labels" / f"{stem}.png")
    monkeypatch.setattr(train_camvid, "train_in_stages", None)
    assert run(copy) == 1
    assert "no pixel of train has a class at 32 × 32" in capsys.readouterr().err


def test_a_picture_in_train_and_val_is_refused_before_training(root, tmp_path, capsys, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    first, *_ = train_camvid.read_split(root, "train")
    with (copy / "val.txt").open("a") as names:
        names.write(f"\n{first}\n")
    monkeypatch.setattr(train_camvid, "train_in_stages", None)
    assert run(copy) == 1
    assert f"{first} is in train.txt and in val.txt" in capsys.readouterr().err
