"""Ingredients from the command line: options, what is recorded, going on after a stop, and the table by hand."""

import json

import pytest

from course_utils import camvid_options, ingredients, train_camvid
from tests.two_halves import write_two_halves

BASE = ["--size", "32", "32", "--batch-size", "2", "--frozen-epochs", "0", "--half-epochs", "0", "--epochs", "1"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_two_halves(tmp_path_factory.mktemp("data") / "scenes")


def run(root, out, *options: str) -> int:
    return ingredients.main(["--out", str(out), "--data", str(root), *options, "--", *BASE, "--device", "cpu"])


def test_a_stopped_command_goes_on_and_views_come_with_the_base(root, tmp_path, monkeypatch, capsys):
    out, original, trained = tmp_path / "out.json", train_camvid.train, []

    def stop_at_the_second(args, root, load, **options):
        trained.append((args.lovasz, args.seed))
        if len(trained) == 2:
            raise KeyboardInterrupt
        return original(args, root, load, **options)

    monkeypatch.setattr(train_camvid, "train", stop_at_the_second)
    assert run(root, out, "--only", "lovasz", "--seeds", "5") == 130
    assert "keeps every finished run" in capsys.readouterr().err
    assert run(root, out, "--only", "lovasz", "--seeds", "5") == 0
    assert trained == [(0.0, 5), (1.0, 5), (1.0, 5)]
    record = json.loads(out.read_text())
    assert [(row["variant"], row["seed"]) for row in record["runs"]] == [
        ("base", 5), ("flips", 5), ("scales", 5), ("flips and scales", 5), ("lovasz", 5),
    ]  # fmt: skip
    assert {"command", "date", "hardware", "threads", "versions"} <= set(record)
    assert str(tmp_path) not in out.read_text() and str(root) not in out.read_text()
    assert " --seeds 5 --only lovasz -- --size 32 32" in record["command"]
    assert run(root, out, "--only", "balance", "--seeds", "6") == 0  # a file that two commands fill names both
    assert " --seeds 5 6 --only lovasz balance -- --size 32 32" in json.loads(out.read_text())["command"]
    said = capsys.readouterr().out
    assert "Lovász term" in said and "mirror images" in said
    assert ingredients.main(["--out", str(out), "--data", str(root), "--", *BASE, "--epochs", "2"]) == 1
    assert "settings.base differ" in capsys.readouterr().err


def test_every_ingredient_changes_the_base_as_it_says():
    base = vars(camvid_options.parse_command(BASE))
    for name in ingredients.INGREDIENTS:
        args = vars(camvid_options.parse_command(ingredients.options_of(name, BASE)))
        changed = {key for key in args if args[key] != base[key]}
        expected = {
            "base": set(),
            "longer": {"epochs"},
            "jitter": {"zoom"},
            "colour": {"light", "saturation"},
            "rotation": {"degrees"},
            "count-void": {"count_void"},
            "together": {"zoom", "light", "saturation", "lovasz", "ema"},
        }
        assert changed == expected.get(name, {name}), name
    assert camvid_options.parse_command(ingredients.options_of("longer", BASE)).epochs == 2
    assert camvid_options.parse_command(ingredients.BASE_OPTIONS.split()).size == [72, 96]


def test_the_table_by_hand():
    runs = [
        {"variant": name, "seed": seed, "accuracy": accuracy, "mean_iou": iou}
        for name, pairs in {
            "base": [(0.80, 0.40), (0.82, 0.41), (0.81, 0.42)],
            "ema": [(0.84, 0.40), (0.85, 0.42), (0.86, 0.40)],
        }.items()
        for seed, (accuracy, iou) in enumerate(pairs)
    ]
    variants = {name: {"label": ingredients.INGREDIENTS[name][0]} for name in ("base", "ema")}
    _, base, ema, note = ingredients.table({"runs": runs, "variants": variants}).splitlines()
    assert base.split()[-6:] == ["81.00", "±", "1.00", "41.00", "±", "1.00"]
    assert "85.00 ± 1.00" in ema and "+4.00 (+3.00..+5.00)*" in ema and "-0.33 (-2.00..+1.00)" in ema
    assert ema.count("*") == 1 and note.startswith("3 seeds")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "no/such/folder/x.json"], "is no folder"),
        (["--data", "nowhere"], "is missing, so nowhere is no prepared data set"),
        (["--seeds", str(2**70)], "take less than 2**63"),
        (["--seeds", "0", "0"], "--seeds 0 0 names one twice"),
        (["--", "--epochs", "0"], "base: --frozen-epochs 0 --half-epochs 0 --epochs 0 is no amount of training"),
        (["--", "--count-void"], "balance: --count-void and --balance exclude each other"),
        (["--only", "count-void", "--", "--count-void"], "count-void changes nothing"),
        (["--only", "jitter", "--", "--recipe", "strong"], "jitter changes nothing"),
        (["--", "--recipe", "lecture"], "base: --recipe lecture has stages of its own"),
        (["--", "--test", "--seed", "0"], "no effect here: --seed, --test"),
        (["--", "--data", "/elsewhere"], "no effect here: --data"),
        (["--", "--checkpoint", "x.pt", "--out", "y.json"], "no effect here: --out, --checkpoint"),
        (["--", "--keep-memory", "--flips", "--scales", "1"], "no effect here: --keep-memory, --flips, --scales"),
        (["--", "--batch-size", "9"], "--batch-size 9 is more"),
        (["--", "--batch-size", "1"], "a batch of one picture"),
        (["--", "--ema", "2"], "--ema 2"),
    ],
)
def test_refusals_are_one_sentence_and_leave_no_file(root, tmp_path, options, message, capsys, monkeypatch):
    monkeypatch.setattr("course_utils.training.TrainingRun", None)  # nothing is trained before
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out.json"
    cut = options.index("--") if "--" in options else len(options)
    words = [*options[:cut], "--", *BASE, *options[cut + 1 :]]
    assert ingredients.main(["--data", str(root), "--out", str(out), *words]) == 1
    said = capsys.readouterr().err.split("ingredients: ")[-1]
    assert message in said and said.strip().count("\n") == 0
    assert not out.exists()


def test_an_unusual_base_is_refused_for_longer_alone(root, tmp_path, capsys):
    lecture = ["--recipe", "lecture", "--size", "64", "64"]
    command = ["--out", str(tmp_path / "out.json"), "--data", str(root)]
    assert ingredients.main([*command, "--only", "longer", "--", *lecture]) == 1
    assert "longer: --recipe lecture has stages of its own; leave out --epochs." in capsys.readouterr().err
    assert ingredients.main([*command, "--only", "ema", "--seeds", "-1", "--", *lecture]) == 1
    assert "seed -1" in capsys.readouterr().err
