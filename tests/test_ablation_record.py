"""The record survives a kill; its differences, spreads and verdicts are those of a table worked out by hand."""

import json
import math
import os

import pytest

from course_utils.experiments.ablation_record import (
    FORMAT,
    compare,
    differing,
    load_record,
    signals,
    spread_over_seeds,
    update_record,
)
from course_utils.experiments.ablation_table import table

ACCURACY = {
    "recipe": (0.80, 0.82, 0.84),
    "skip-none": (0.75, 0.76, 0.80),  # 5, 6 and 4 points lower: more than any spread
    "nearest": (0.83, 0.83, 0.86),  # 3, 1 and 2 points higher, and not every one more than the spread
    "resblock": (0.79, 0.83, 0.85),  # 1 lower, 1 and 1 higher
}


def record_of(accuracy=ACCURACY, seeds=(0, 1, 2)):
    runs = [
        {"variant": name, "seed": seed, "accuracy": value, "mean_iou": value / 2, "boundary_error": 1 - value}
        for name, values in accuracy.items()
        for seed, value in zip(seeds, values, strict=False)
    ]
    facts = {"options": {}, "lr_factor": 1.0, "parameters": 2_500_000, "multiply_adds": 1_250_000_000}
    cost = {"seconds_per_step": {name: 0.2 + 0.1 * (name == "nearest") for name in accuracy}}
    return {"format": FORMAT, "variants": dict.fromkeys(accuracy, facts), "runs": runs, "cost": cost}


def test_differences_are_paired_and_the_spread_is_the_median_of_standard_deviations():
    found = {c.name: c for c in compare(record_of(), "accuracy")}
    assert found["nearest"].differences == pytest.approx((0.03, 0.01, 0.02))
    assert found["recipe"].differences == (0, 0, 0)
    assert (found["recipe"].mean, found["recipe"].sd) == pytest.approx((0.82, 0.02))
    # Standard deviations by hand, in points: 2, √7, √3, √(28/3); the median is the mean of the middle two.
    assert spread_over_seeds(list(found.values())) == pytest.approx((2 + math.sqrt(7)) / 200)


def test_signal_is_what_exceeds_the_spread_in_every_seed():
    found = {c.name: c for c in compare(record_of(), "accuracy")}
    spread = spread_over_seeds(list(found.values()))
    assert [name for name, c in found.items() if c.is_signal(spread)] == ["skip-none"]
    assert found["nearest"].is_signal(0.005) and not found["resblock"].is_signal(0.0)
    two = {c.name: c for c in compare(record_of(seeds=(0, 1)), "accuracy")}
    assert not two["skip-none"].is_signal(0.0)
    assert [c.name for c in signals(record_of(), "accuracy")] == ["skip-none"]
    ordered = record_of({"recipe": (0.5,) * 3, "nearest": (0.6,) * 3, "resblock": (0.4,) * 3, "bilinear": (0.9,) * 3})
    assert [c.name for c in signals(ordered, "mean_iou")] == ["bilinear", "nearest", "resblock"]


def test_only_seeds_that_both_have_are_compared():
    record = record_of()
    record["runs"] = [run for run in record["runs"] if (run["variant"], run["seed"]) != ("recipe", 1)]
    found = {c.name: c for c in compare(record, "mean_iou")}
    assert found["skip-none"].seeds == (0, 2)
    assert found["skip-none"].differences == pytest.approx((-0.025, -0.02))
    record["runs"] = [run for run in record["runs"] if run["variant"] != "recipe"]
    assert compare(record, "accuracy") == []


def test_the_table_holds_the_numbers_sorted_by_accuracy():
    lines = table(record_of()).splitlines()
    assert len(lines) == 2 + len(ACCURACY)
    assert lines[2].startswith("nearest + convolution")
    for part in ("84.00 ± 1.73", "+2.00 (+1.00..+3.00)", "noise", "42.0", "16.0", "2.50", "1.25", "1.50"):
        assert part in lines[2], part
    assert "signal" in lines[-1] and "-5.00 (-6.00..-4.00)" in lines[-1]
    recipe = next(line for line in lines if line.startswith("the recipe"))
    assert "noise" not in recipe and "signal" not in recipe
    assert max(map(len, lines)) <= 115 and all(line == line.rstrip() for line in lines)


def test_a_difference_of_twenty_points_stays_in_its_column():
    lines = table(record_of({"recipe": (0.8, 0.81, 0.82), "skip-none": (0.5, 0.52, 0.51)})).splitlines()
    assert "-30.00 (-31.00..-29.00)" in lines[-1]
    assert lines[-1].index("signal") == lines[0].index("verdict")


def test_a_table_without_measured_cost_leaves_that_column_out():
    record = record_of()
    assert table(record).splitlines()[0].endswith("step")
    del record["cost"]
    assert "1.50" not in table(record) and "step" not in table(record)


def test_too_few_seeds_have_no_verdict_and_do_not_spoil_the_spread():
    record = record_of({"recipe": (0.8, 0.82, 0.84), "nearest": (0.9, 0.91, 0.95), "resblock": (0.7,)})
    assert spread_over_seeds(compare(record, "accuracy")) == pytest.approx((0.02 + math.sqrt(7) / 100) / 2)
    lines = table(record).splitlines()
    assert " signal " in lines[2] and " ? " in lines[-1] and "nan" in lines[-1]
    alone = record_of({"recipe": (0.8,), "resblock": (0.7,)})
    assert math.isnan(spread_over_seeds(compare(alone, "accuracy"))) and "?" in table(alone)


def test_a_kill_while_writing_leaves_the_old_record(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    one, two = record_of({"recipe": (0.8, 0.9)})["runs"]
    update_record(path, lambda record: record.update(runs=[one]))
    before = path.read_bytes()

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        update_record(path, lambda record: record["runs"].append(two))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    assert update_record(path, lambda record: record["runs"].append(two)) == load_record(path)
    assert load_record(path)["runs"] == [one, two]


@pytest.mark.parametrize(("text", "message"), [("{", "no JSON"), ("[]", "no record"), ('{"a": 1}', "no record")])
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        update_record(path, lambda record: None)
    assert path.read_text() == text


def test_differing_names_what_differs_and_overlooks_what_is_new():
    record = json.loads(json.dumps({"a": {"b": [1, 2], "c": 3}, "d": 4}))
    assert differing(record, {"a": {"b": (1, 2), "c": 5}, "d": 4, "new": 1}) == ["a.c"]
    assert differing(record, {"a": 1}) == ["a"]
    assert differing({}, {"a": 1}) == []
