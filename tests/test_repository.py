"""What the repository promises: one test command everywhere, exact pins, clean style, links that lead somewhere."""

import json
import math
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import mean, median, stdev

import pytest

from course_utils.experiments.ablation_record import compare, load_record
from course_utils.experiments.verdicts import collect
from tests.notebook_rules import dead_links, texts_of

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECORDS = ROOT / "notebooks" / "results"
RESULTS = (RECORDS / "README.md").read_text(encoding="utf-8")
SPEED = (ROOT / "tests" / "benchmarks" / "README.md").read_text(encoding="utf-8")
TEST_COMMAND = (
    "python3 -m venv .venv && .venv/bin/python -m pip install -r requirements.txt && .venv/bin/python -m pytest -n 2"
)


def tracked(*patterns: str) -> list[Path]:
    """Files of the checkout that git knows or would add; all files where there is no git."""
    found = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if found.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in found.stdout.splitlines() if (ROOT / name).is_file()]


def test_readme_ci_and_workflow_run_the_same_command():
    assert f"```bash\n{TEST_COMMAND}\n```" in README
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith(TEST_COMMAND)
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    assert "bash .ci/run" in workflow
    assert workflow.index("playwright install --with-deps chromium") < workflow.index("bash .ci/run")
    assert 'BROWSER_REQUIRED: "1"' in workflow


def test_every_requirement_is_pinned_and_says_who_needs_it():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    assert lines[-1].startswith("-e .")
    for line in lines[:-1]:
        assert re.fullmatch(r"[\w-]+==[\w.]+ +# .+", line), line


def test_the_top_level_holds_what_it_should():
    names = {path.relative_to(ROOT).parts[0] for path in tracked()}
    visible = {name for name in names if not name.startswith(".")}
    assert visible == {
        "README.md",
        "requirements.txt",
        "pyproject.toml",
        "notebooks",
        "course_utils",
        "data_scripts",
        "tests",
    }


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")], ids=" ".join)
def test_style(arguments):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "course_utils", "data_scripts", "tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_links_in_markdown_files_lead_somewhere():
    files = tracked("*.md")
    assert ROOT / "README.md" in files
    complaints = [f"{path.name}: {complaint}" for path in files for complaint in dead_links(texts_of(path), path)]
    assert not complaints, "\n".join(complaints)


def run_of(name: str) -> dict:
    return json.loads((RECORDS / f"{name}.json").read_text())


def percent(values: list[float]) -> str:
    """Mean, and the spread of several."""
    values = [100 * value for value in values]
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "") + " %"


CPU_ROWS = {
    "camvid_lite0_imagenet_seed0": "EfficientNet-Lite0 from ImageNet, 176 × 240",
    "camvid_lite0_random_seed0": "EfficientNet-Lite0 from random weights, 176 × 240",
    "hour_camvid_lite0_seed0": "EfficientNet-Lite0 from ImageNet, 176 × 240, one hour ◐",
    "full_size_camvid_lite0_seed0": "EfficientNet-Lite0 from ImageNet, 360 × 480 ◐",
    "full_size_camvid_lite2_seed0": "EfficientNet-Lite2 from ImageNet, 360 × 480 ◐",
    "hour_camvid_lite2": "EfficientNet-Lite2 from ImageNet, 360 × 480, three scales, two seeds ◐",
}
GPU_ROWS = {
    "ours_lite2": "EfficientNet-Lite2 from ImageNet, 360 × 480, three seeds ◐",
    "ours_resnet34_random": "ResNet-34 from random weights, 360 × 480 ◐",
    "lecture_half_lite0": "the lecture's recipe, its first two stages at half size: "
    "EfficientNet-Lite0 from ImageNet, 360 × 480, three seeds",
}


def runs_of(kind: str) -> list[dict]:
    """One run or two on a CPU, or all seeds on a GPU."""
    if kind not in GPU_ROWS:
        return [run_of(kind)] if "_seed" in kind else [run_of(f"{kind}_seed{seed}") for seed in (0, 1)]
    runs = [json.loads(path.read_text()) for path in sorted((RECORDS / "gpu").glob(f"{kind}_seed*.json"))]
    assert [run["seed"] for run in runs] == list(range(3 if "three seeds" in GPU_ROWS[kind] else 1))
    return runs


def seconds_of(kind: str) -> float:
    """What a training took: the median on a GPU, the first run on a CPU, since other work ran beside the second."""
    runs = runs_of(kind)
    return median(run["training_seconds"] for run in (runs if kind in GPU_ROWS else runs[:1]))


@pytest.mark.parametrize("kind", [*CPU_ROWS, *GPU_ROWS])
def test_the_page_of_results_holds_the_scores_that_were_recorded(kind):
    runs = runs_of(kind)
    cells = [
        ", ".join(percent([run[split][metric] for run in runs]) for metric in ("accuracy", "mean_iou"))
        for split in ("val", "test")
    ]
    (n_epochs,) = {len(run["epochs"]) for run in runs}
    device = "GPU" if kind in GPU_ROWS else "CPU in bfloat16" if "--amp bf16" in runs[0]["command"] else "CPU"
    row = (CPU_ROWS | GPU_ROWS)[kind]
    assert f"| {' | '.join([row, str(n_epochs), *cells, f'{seconds_of(kind):.0f} s, {device}'])} |" in RESULTS
    mirrored = any(option in runs[0]["command"] for option in ("--flips", "--recipe strong"))
    assert mirrored == row.endswith("◐")


SHORT_ROWS = {
    "ours_lite2": "EfficientNet-Lite2, ImageNet, 360 × 480, three seeds",
    "hour_camvid_lite2": "EfficientNet-Lite2, ImageNet, 360 × 480, two seeds",
    "camvid_lite0_imagenet_seed0": "EfficientNet-Lite0, ImageNet, 176 × 240, one seed",
    "camvid_lite0_random_seed0": "EfficientNet-Lite0, random weights, 176 × 240, one seed",
    "ours_resnet34_random": "ResNet-34, random weights, 360 × 480, one seed",
}


@pytest.mark.parametrize("kind", SHORT_ROWS)
def test_the_readme_holds_the_scores_that_were_recorded(kind):
    runs = runs_of(kind)
    cells = [
        percent([run[split][metric] for run in runs]).removesuffix(" %")
        for metric in ("accuracy", "mean_iou")
        for split in ("val", "test")
    ]
    took = f"{seconds_of(kind) / 60:.0f} min, {'GPU' if kind in GPU_ROWS else 'CPU'}"
    assert f"| {' | '.join([SHORT_ROWS[kind], *cells, took])} |" in README
    assert SHORT_ROWS[kind].endswith(("one seed", "two seeds", "three seeds")[len(runs) - 1])
    assert all(run["test"]["accuracy"] < run["val"]["accuracy"] for run in runs), "each scores lower on test"


def test_the_readme_shows_no_other_scores_of_networks_trained_here():
    rows = re.findall(r"^\| ([^|*]+) \|.+ \| \d+ min, [CG]PU \|$", README, re.MULTILINE)
    assert rows == list(SHORT_ROWS.values())


def test_both_pages_say_in_short_what_was_reached():
    two = runs_of("hour_camvid_lite2")
    on_cpu = [100 * run["test"]["accuracy"] for run in two]
    assert [score > 91.5 for score in on_cpu] == [True, False]
    seed = f"has {100 * two[1]['val']['accuracy']:.2f} % on val and {on_cpu[1]:.2f} % on test"
    assert f"[Seed 1](hour_camvid_lite2_seed1.json), scored in the same way, {seed}" in RESULTS
    three = runs_of("ours_lite2")
    on_gpu = [100 * run["test"]["accuracy"] for run in three]
    assert [score > 91.5 for score in on_gpu] == [True, False, False], "one seed of three passes 91.5 %"
    assert "One of three seeds of Lite2 passes 91.5 % on the GPU, one of two on the CPU." in README
    said = "{:.1f}, {:.1f} and {:.1f} % on test (the last is {:.2f})".format(*on_gpu, on_gpu[-1])
    said += ", on the CPU the two have {:.2f} and {:.2f} %;".format(*on_cpu)
    assert f"On the GPU the three seeds of Lite2 have {said}" in RESULTS
    val, test = (f"{100 * mean(run[split]['accuracy'] for run in three):.1f} %" for split in ("val", "test"))
    assert f"The strongest recipe here gets {val} on val and {test} on test." in README
    baselines = run_of("camvid_lite0_imagenet_seed0")
    place = [
        percent([baselines[split]["baselines"]["most common class at this position"]]) for split in ("val", "test")
    ]
    assert f"| *the most common class at each pixel, 176 × 240* | | {' | '.join(place)} | |" in RESULTS
    short = " | ".join(score.removesuffix(" %") for score in place)
    assert f"| *the most common class at each pixel* | {short} | | | |" in README
    random = percent([run_of("gpu/ours_resnet34_random_seed0")["test"]["accuracy"]])
    assert f"ours from random weights gets {random}" in README


def test_two_more_seeds_of_the_first_row_are_named_beside_it():
    runs = [run_of(f"seeds/camvid_lite0_imagenet_seed{seed}") for seed in (1, 2)]
    first = run_of("camvid_lite0_imagenet_seed0")
    assert {re.sub(r" --seed \d", "", run["command"]) for run in runs} == {first["command"]}
    val, test = (" and ".join(f"{100 * run[split]['accuracy']:.1f}" for run in runs) for split in ("val", "test"))
    took = " and ".join(f"{run['training_seconds']:.0f}" for run in runs)
    assert f"get {val} % on val, {test} % on test (two cores of an Intel Xeon, {took} s)" in RESULTS
    assert all(run["val"]["accuracy"] > 0.9 for run in [first, *runs])
    from_random = [run_of(f"seeds/camvid_lite0_random_seed{seed}") for seed in (1, 2)]
    start = run_of("camvid_lite0_random_seed0")
    assert {re.sub(r" --seed \d", "", run["command"]) for run in from_random} == {start["command"]}
    val, test = (
        " and ".join(f"{100 * run[split]['accuracy']:.1f}" for run in from_random) for split in ("val", "test")
    )
    assert f"; of the second, {val} % on val, {test} % on test." in RESULTS
    for seeds in (runs, from_random):
        assert all(run["hardware"].startswith("Intel(R) Xeon(R)") for run in seeds)
    minutes = {round(run["training_seconds"] / 60) for run in (*runs, *from_random)}
    assert minutes == {8, 9} and "for Lite0 (eight or nine minutes on an Intel Xeon)" in README
    found = [[100 * run["test"]["accuracy"] for run in seeds] for seeds in ([first, *runs], [start, *from_random])]
    pretrained, random = (f"{mean(one):.1f} ± {stdev(one):.1f} %" for one in found)
    assert f"{pretrained} pretrained, {random} random on test" in collect(ROOT / "notebooks")[2][0].number
    on_val = [[100 * run["val"]["accuracy"] for run in seeds] for seeds in ([first, *runs], [start, *from_random])]
    shown = " against ".join(f"{mean(one):.1f} ± {stdev(one):.1f}" for one in on_val)
    assert f"{shown} on val;" in (ROOT / "notebooks/06_hooked_unet_on_camvid.ipynb").read_text()


LEVEL_ROWS = {
    "hour_camvid_lite0_seed0": "[CPU: Lite0, one hour](hour_camvid_lite0_seed0.json)",
    "full_size_camvid_lite0_seed0": "[CPU: Lite0, 360 × 480](full_size_camvid_lite0_seed0.json)",
    "full_size_camvid_lite2_seed0": "[CPU: Lite2, 360 × 480, bfloat16](full_size_camvid_lite2_seed0.json)",
    "hour_camvid_lite2_seed0": "[CPU: Lite2, 360 × 480, bfloat16, longer](hour_camvid_lite2_seed0.json)",
    "ours_lite2": "[GPU: Lite2, 360 × 480, bfloat16](gpu/ours_lite2_seed0.json)",
    "ours_resnet34_random": "[GPU: ResNet-34 from random weights](gpu/ours_resnet34_random_seed0.json)",
    "lecture_half_lite0": "[GPU: the lecture's recipe, half of it at half size, Lite0]"
    "(gpu/lecture_half_lite0_seed0.json)",
}


@pytest.mark.parametrize("kind", LEVEL_ROWS)
def test_the_page_of_results_says_when_each_level_was_reached(kind):
    cells = []
    for level in ("90.0%", "91.5%", "93.0%", "94.1%"):
        reached = sorted(run["seconds_to"][level] or math.inf for run in runs_of(kind))
        missed = reached.count(math.inf)
        assert missed in (0, 1, len(reached))
        said = "never" if missed == len(reached) else f"{median(reached):.0f}"
        cells.append(said + (", one seed never" if 0 < missed < len(reached) else ""))
    assert f"| {LEVEL_ROWS[kind]} | {' | '.join(cells)} |" in RESULTS


@pytest.mark.parametrize("path", [*RECORDS.glob("*.json"), *RECORDS.glob("gpu/*.json")], ids=lambda path: path.stem)
def test_the_page_of_results_holds_the_command_of_each_record(path):
    command = re.sub(r" --seed \d+| --out FILE\b", "", json.loads(path.read_text())["command"])
    commands = re.findall(r"^python -m .+$", RESULTS, re.MULTILINE)
    assert command in [line.removesuffix(" --out FILE.json") for line in commands]


def test_the_page_of_results_says_how_scales_were_chosen():
    ways = [run_of(f"scales/{name}") for name in ("one", "two", "three")]
    chosen = run_of("hour_camvid_lite2_seed0")
    assert all("test" not in way and way["epochs"] == chosen["epochs"] for way in ways), "one training, val alone"
    on_val = [way["val"]["accuracy"] for way in ways]
    assert max(on_val) == on_val[2] == chosen["val"]["accuracy"]
    assert f"({', '.join(f'{100 * score:.2f}' for score in on_val)} % of the pixels" in RESULTS


def test_the_page_on_speed_quotes_the_redraws_of_the_widgets():
    record = json.loads((ROOT / "tests/benchmarks/results/redraw_cpu.json").read_text())
    rows = re.findall(r"^\| .+ \| (\w[\w %()]*) \| (\d+) ms \| (\d+) ms \|$", SPEED, re.MULTILINE)
    assert rows == [(one["slider"], str(one["p50_ms"]), str(one["p95_ms"])) for one in record["redraws"]]


def test_the_readme_says_how_long_each_notebook_takes():
    record = json.loads((ROOT / "tests/benchmarks/results/notebooks_cpu.json").read_text())["notebooks"]
    row = re.compile(r"^\| \[.*\]\(notebooks/(\w+)\.ipynb\).*\| (\d+)(?: \([^|]*\))? \|$", re.MULTILINE)
    said = dict(row.findall(README))
    assert said.keys() == {name.removeprefix("notebooks/") for name in record}
    for name, minutes in said.items():
        took = record[f"notebooks/{name}"]["seconds"] / 60 + 0.55 * (name == "01_segmentation_basics")  # it paints
        assert int(minutes) == math.ceil(took), name
    assert round(sum(one["seconds"] for one in record.values()) / 60) == 11 and "eleven minutes in all" in README
    assert f"at most {max(one['peak_mib'] for one in record.values()) * 2**20 / 1e9:.1f} GB" in README


def test_both_pages_say_the_same_of_how_long_the_tests_take():
    xeon, epyc = re.search(r"this took (\d+) minutes \(Intel Xeon\) and (\d+) \(AMD EPYC\)", README).groups()
    assert f"it took {xeon} minutes (Intel Xeon, 30 November 2026) and {epyc} (AMD EPYC, the day before)" in SPEED


def test_readme_code_runs():
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    done = subprocess.run([sys.executable, "-c", code + "\nassert scores.shape == (2, 12, 175, 233)"], cwd=ROOT)
    assert done.returncode == 0


def _imported(path: Path) -> set[str]:
    """The modules of this project that a file imports, at its top or later."""
    text = path.read_text(encoding="utf-8")
    found = set(re.findall(r"^\s*from ((?:course_utils|data_scripts)\.[\w.]+) import", text, re.MULTILINE))
    for names in re.findall(r"^\s*from course_utils import (.+)$", text, re.MULTILINE):
        found |= {f"course_utils.{name}" for name in re.findall(r"(\w+)(?: as \w+)?(?:,|$)", names)}
    return found


def test_imports_point_one_way():
    """No cycle among the modules; only widgets need Jupyter; the library neither draws nor knows of experiments."""
    commands = {f"course_utils.{name}" for name in ("train_camvid", "restore_photographs", "segment_photographs")}
    experimenting = (
        "ablate_camvid",
        "ingredients",
        "restoration_options",
        "restore_photographs",
        "upsampling_contest",
    )
    on_top = ("experiments", "plots", "widgets", "exercises")
    graph = {}
    for path in (ROOT / "course_utils").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[name] = imported = _imported(path)
        layer = name.split(".")[1] if name.count(".") else ""
        layers = {module.split(".")[1] for module in imported}
        assert not any(module.startswith("data_scripts") for module in imported), name
        if layer != "widgets":
            assert not re.search(r"^\s*(from|import) ipywidgets", path.read_text(encoding="utf-8"), re.MULTILINE), name
            assert "widgets" not in layers, name
            assert "plots" not in layers or layer == "plots" or name in commands, name
        assert layer == "exercises" or "exercises" not in layers, name
        assert layer in on_top or "experiments" not in layers or layer in experimenting, name
    assert graph["course_utils.widgets.unet"] >= {"course_utils.plots.unet"}, "imports are found"
    TopologicalSorter(graph).prepare()


def test_the_page_of_results_quotes_the_record_of_the_ingredients():
    record = load_record(ROOT / "notebooks/results/ingredients_camvid_lite0.json")
    gains = {
        (one.name, metric): 100 * one.mean_difference
        for metric in ("accuracy", "mean_iou")
        for one in compare(record, metric, "base")
    }
    words = " ".join(RESULTS.split())
    for said in (
        f"twice the epochs bring {gains['longer', 'accuracy']:.1f} points of accuracy",
        f"and {gains['longer', 'mean_iou']:.1f} of mean IoU",
        f"a Lovász term {gains['lovasz', 'mean_iou']:.1f} of mean IoU",
        f"class weights {gains['balance', 'mean_iou']:.1f} at the price of {-gains['balance', 'accuracy']:.1f} points",
        f"scale jitter costs {-gains['jitter', 'accuracy']:.1f} points of accuracy",
    ):
        assert said in words


def test_both_pages_quote_the_restorations_of_photographs():
    record = json.loads((ROOT / "notebooks/results/restorations_1000.json").read_text())
    rows = {
        "super-resolution": ("half the resolution", "Half the resolution: {network} (bicubic {bicubic})."),
        "jpeg": ("JPEG, quality 10 to 30", "JPEG: {network} (doing nothing {nothing})."),
        "text": ("a number printed over it", "A printed number: {network} (bicubic {bicubic})."),
    }
    for task, (said, short) in rows.items():
        runs = [run["scores"] for run in record["runs"] if (run["task"], run["loss"]) == (task, "pixel")]
        made = [run["network"]["psnr"] for run in runs]
        assert len(made) == 3
        found = {kind: f"{mean(run[kind]['psnr'] for run in runs):.2f}" for kind in ("nothing", "bicubic")}
        found["network"] = f"{mean(made):.2f} ± {stdev(made):.2f}"
        assert f"| {said} | {' | '.join(found.values())} |" in RESULTS
        assert short.format(**found) in README


def test_notebook_07_and_the_page_of_results_say_of_the_losses_what_the_records_show():
    richer = 0
    for steps, features in ((150, "feature"), (1000, "pixel+feature")):
        runs = json.loads((ROOT / f"notebooks/results/restorations_{steps}.json").read_text())["runs"]
        network = {(run["task"], run["loss"], run["seed"]): run["scores"]["network"] for run in runs}
        nothing = next(run["scores"]["nothing"] for run in runs if run["task"] == "text")
        for seed in range(3):
            for job in ("super-resolution", "jpeg"):
                pixel, by_features = (network[job, loss, seed] for loss in ("pixel", features))
                assert by_features["psnr"] < pixel["psnr"], "features cost PSNR in every seed"
                richer += by_features["detail"] > pixel["detail"]
            pixel, absolute = (network["super-resolution", loss, seed] for loss in ("pixel", "absolute"))
            assert absolute["features"] < pixel["features"], "in every seed of both records"
            assert abs(network["text", "absolute", seed]["psnr"] - nothing["psnr"]) < 0.05, "it never begins"
    assert richer == 10, "detail, in 10 runs of 12"


def test_the_page_of_results_quotes_the_restorations_of_streets():
    words = " ".join(RESULTS.split())
    found = {run["task"]: run["scores"] for run in run_of("on_camvid_restorations_1000")["runs"]}
    rows = {
        "super-resolution": ("half the resolution", ("bicubic",)),
        "jpeg": ("JPEG", ("bicubic",)),
        "text": ("numbers", ("bicubic",)),
        "colour": ("colour", ("one colour", "answer's mean")),
        "holes": ("holes", ("smooth", "biharmonic")),
        "sketch": ("sketch", ("grey",)),
    }
    called = {
        "one colour": "one colour for all",
        "smooth": "smooth filling",
        "answer's mean": "the mean colour of the answer",
    }
    assert rows.keys() == found.keys()
    for task, (said, names) in rows.items():
        psnr = {name: f"{one['psnr']:.2f}" for name, one in found[task].items()}
        assert set(names) == psnr.keys() - {"nothing", "network"}
        without = ", ".join(f"{called.get(name, name)} {psnr[name]}" for name in names)
        assert f"| {said} | {psnr['nothing']} | {without} | {psnr['network']} |" in RESULTS
    holes, colour = (
        run_of(f"on_camvid_{task}_6000")["runs"][0]["scores"]["network"]["psnr"] for task in ("holes", "colour")
    )
    said = (
        f"[holes](on_camvid_holes_6000.json) have {holes:.2f} dB and [colour](on_camvid_colour_6000.json) {colour:.2f}"
    )
    assert f"After 6,000 steps {said} (" in words
    runs = json.loads((ROOT / "notebooks/results/on_camvid_losses_1000.json").read_text())["runs"]
    made = {(run["task"], run["loss"], run["seed"]): run["scores"]["network"] for run in runs}
    tasks, seeds = ("super-resolution", "jpeg", "text"), (0, 1, 2)
    said = {}
    for loss in ("pixel+feature", "pixel"):
        found = [[made[task, loss, seed]["psnr"] for seed in seeds] for task in tasks]
        said[loss] = "{}, {} and {}".format(*(f"{mean(one):.2f} ± {stdev(one):.2f}" for one in found))
    assert f"{said['pixel+feature']} dB instead of {said['pixel']} (seeds 0 to 2)" in words
    pairs = [[(made[task, "pixel+feature", seed], made[task, "pixel", seed]) for seed in seeds] for task in tasks]
    assert all(a["psnr"] < b["psnr"] for task in pairs for a, b in task), "in each seed"
    nearer = [mean(100 - 100 * a["features"] / b["features"] for a, b in task) for task in pairs]
    assert f"by {nearer[0]:.1f} and {nearer[2]:.1f} % on the mean, and for JPEG not at all" in words
    assert abs(nearer[1]) < 0.1


@pytest.mark.parametrize(
    "names",
    [
        ("ladder_cpu_avx512", "ladder_cpu_avx2"),
        ("overview_cpu_avx512", "overview_cpu_avx2"),
        ("ladder_gpu",),
    ],
)
def test_the_page_on_speed_quotes_the_benchmarks(names):
    rows = SPEED.replace("**", "").splitlines()
    records = [json.loads((ROOT / f"tests/benchmarks/results/{name}.json").read_text()) for name in names]
    for contender, found in records[0]["contenders"].items():
        if contender == "fastai":
            continue
        times = (
            "{median:.2f} ({low:.2f}–{high:.2f})".format(**record["contenders"][contender][job]["times_faster"])
            for job in ("train", "infer")
            for record in records
        )
        row = " | ".join([*times, f"{found['train']['peak_bytes'] / 2**30:.2f} GiB |"])
        assert any(line.endswith(row) for line in rows), (contender, row)


@pytest.mark.parametrize(
    "names",
    [
        ("overview_cpu_avx512_96x128", "overview_cpu_avx512_360x480"),
        ("ladder_cpu_bf16_180x240", "ladder_cpu_bf16_360x480"),
        ("ladder_cpu_intel_96x128", "ladder_cpu_intel"),
    ],
)
def test_the_page_on_speed_quotes_the_benchmarks_of_other_sizes(names):
    records = [json.loads((ROOT / f"tests/benchmarks/results/{name}.json").read_text())["contenders"] for name in names]
    for contender in records[1]:
        times = (
            "{median:.2f} ({low:.2f}–{high:.2f})".format(**record[contender][job]["times_faster"])
            for job in ("train", "infer")
            for record in records
        )
        memory = ", ".join(f"{record[contender]['train']['peak_bytes'] / 2**30:.2f}" for record in records)
        row = f"{' | '.join(times)} | {memory} GiB |".replace("1.00 (1.00–1.00)", "1.00")
        assert any(line.endswith(row) for line in SPEED.splitlines()), (contender, row)


SAME_MATHS = {"ladder": "+ Winograd's trick", "overview": "course"}
"""By set, the contender that takes fastai's network through its step with every setting of the same maths there was."""
LIMITS = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def test_the_page_on_speed_quotes_bfloat16_on_another_processor():
    for record in ("ladder_cpu_intel_bf16", "ladder_cpu_intel_bf16_360x480"):
        found = json.loads((ROOT / f"tests/benchmarks/results/{record}.json").read_text())
        assert found["hardware"].startswith("Intel")
        for contender in ("+ bf16", "fastai with all but compile"):
            step = found["contenders"][contender]["train"]["times_faster"]
            assert "{median:.2f} ({low:.2f}–{high:.2f})".format(**step) in SPEED.split("## bfloat16")[1]


@pytest.mark.parametrize("machine", ["intel", "fast"])
def test_the_page_on_speed_quotes_all_networks_at_three_sizes(machine):
    names = (f"overview_cpu_{machine}_{size}" for size in ("96x128", "180x240", "360x480"))
    sizes = [json.loads((ROOT / f"tests/benchmarks/results/{name}.json").read_text())["contenders"] for name in names]
    for contender in sizes[0]:
        trained = [found[contender]["train"] for found in sizes]
        cells = ["{median:.2f} ({low:.2f}–{high:.2f})".format(**one["times_faster"]) for one in trained]
        memory = ", ".join(f"{one['peak_bytes'] / 2**30:.2f}" for one in trained)
        row = f"| {' | '.join(cells)} | {memory} GiB |".replace("1.00 (1.00–1.00)", "1.00")
        assert any(line.endswith(row) for line in SPEED.splitlines()), (contender, row)


def test_the_page_on_speed_quotes_the_smallest_pictures_once_more():
    again = json.loads((ROOT / "tests/benchmarks/results/overview_cpu_intel_96x128_again.json").read_text())
    step = again["contenders"]["course"]["train"]["times_faster"]
    assert f"once more, {again['rounds']} rounds" in SPEED
    assert "the same maths has {median:.2f} ({low:.2f}–{high:.2f})".format(**step) in SPEED


def test_the_same_maths_takes_less_memory_than_fastais_network_as_it_comes():
    for size in ("96x128", "180x240", "360x480"):
        found = json.loads((ROOT / f"tests/benchmarks/results/overview_cpu_intel_{size}.json").read_text())[
            "contenders"
        ]
        assert found["course"]["train"]["peak_bytes"] < found["fastai"]["train"]["peak_bytes"]


def test_the_page_on_speed_quotes_batches_of_eight():
    sizes = [
        json.loads((ROOT / f"tests/benchmarks/results/overview_cpu_intel_batch8_{size}.json").read_text())
        for size in ("96x128", "180x240", "360x480")
    ]
    assert all(found["batch_size"] == 8 for found in sizes)
    section = SPEED.split("*Eight pictures, as the lecture trains.*")[1].split("*Not among")[0]
    for contender in ("course", "course, memory not kept", "course, cheap decoder", "smp"):
        steps = [found["contenders"][contender]["train"] for found in sizes if contender in found["contenders"]]
        cells = ["{median:.2f} ({low:.2f}–{high:.2f})".format(**step["times_faster"]) for step in steps]
        cells += [""] * (3 - len(cells))
        memory = ", ".join(f"{step['peak_bytes'] / 2**30:.2f}" for step in steps)
        assert f"| {' | '.join(cells)} | {memory} GiB |" in section, contender
    busy = json.loads((ROOT / "tests/benchmarks/results/overview_cpu_intel_batch8_96x128_busy.json").read_text())
    times = [f"{one['contenders']['course']['train']['times_faster']['median']:.2f}" for one in (busy, *sizes)]
    assert f"| the same, eight pictures | {times[0]}–{' | '.join(times[1:])} |" in README
    assert f"the same maths had {times[0]} while other work ran beside it" in section
    frugal = [found["contenders"]["course, memory not kept"]["train"]["peak_bytes"] for found in sizes]
    theirs = [found["contenders"]["fastai"]["train"]["peak_bytes"] for found in sizes]
    assert all(one < 0.9 * other for one, other in zip(frugal, theirs, strict=True))
    kept = [found["contenders"]["course"]["train"]["peak_bytes"] for found in sizes]
    assert [one < other for one, other in zip(kept, theirs, strict=True)] == [True, True, False]
    without = sizes[2]["contenders"]["course, memory not kept"]["train"]["times_faster"]["median"]
    assert f"Without `--keep-memory` it does there too, and is {without:.2f} times as fast." in README


def test_the_page_on_speed_quotes_compiling_on_a_cpu():
    sizes = [
        json.loads((ROOT / f"tests/benchmarks/results/ladder_cpu_intel_compile_{size}.json").read_text())["contenders"]
        for size in ("96x128", "180x240", "360x480")
    ]
    for contender in ("+ channels_last", "+ compile", "+ matrix products"):
        times = (
            "{median:.2f} ({low:.2f}–{high:.2f})".format(**one[contender]["train"]["times_faster"]) for one in sizes
        )
        memory = ", ".join(f"{one[contender]['train']['peak_bytes'] / 2**30:.2f}" for one in sizes)
        assert f"| {' | '.join(times)} | {memory} GiB |" in SPEED.split("`torch.compile`.*")[1].split("## ")[0]
    for one in sizes:
        plain, compiled = (one[name]["train"] for name in ("+ channels_last", "+ compile"))
        assert compiled["times_faster"]["median"] < plain["times_faster"]["median"]
    for one in sizes[:2]:
        assert one["+ compile"]["train"]["peak_bytes"] > 1.1 * one["+ channels_last"]["train"]["peak_bytes"]


def test_the_page_on_speed_quotes_a_faster_machine_and_the_optimiser():
    def record(name: str) -> dict:
        return json.loads((ROOT / f"tests/benchmarks/results/{name}.json").read_text())

    ladder = record("ladder_cpu_fast")["contenders"]
    for contender in (SAME_MATHS["ladder"], "fastai with all but compile"):
        step = ladder[contender]["train"]["times_faster"]
        assert "{median:.2f} ({low:.2f}–{high:.2f}) for ".format(**step) in SPEED
    again = record("overview_cpu_fast_96x128_again")["contenders"]
    step = again["course"]["train"]["times_faster"]
    assert "has {median:.2f} ({low:.2f}–{high:.2f}) for the same maths: take the range".format(**step) in SPEED
    rates = [
        [record(f"floor_cpu_{cpu}_{name}")["machine"]["convolution_macs_per_second"] for name in ("fastai", "course")]
        for cpu in ("fast", "avx512")
    ]
    assert min(rates[0]) > 2 * max(rates[1])
    assert f"convolve {min(rates[0]) / 1e9:.0f} G multiply-adds a second" in SPEED
    ways = record("optimizer_step_cpu")["ways"]
    taken = [
        f"{1e3 * ways[name]['seconds']['median']:.1f} ms"
        for name in ("the same, fused, contiguous", "the same, fused, channels_last", "the course's, channels_last")
    ]
    said = "{} fused where weights are contiguous, {} in channels_last, {} there by the course's".format(*taken)
    assert said in " ".join(SPEED.split())


def test_the_page_on_speed_says_how_far_the_same_maths_rounds():
    folder = ROOT / "tests/benchmarks/results"
    epyc = [f"{kind}_cpu_{cpu}" for kind in SAME_MATHS for cpu in ("avx512", "avx2")]
    epyc += [f"overview_cpu_avx512_{size}" for size in ("96x128", "360x480")]
    intel = sorted(path.stem for path in folder.glob("*_cpu_intel*.json") if "bf16" not in path.stem)
    for names, section in ((epyc, SPEED.split("## An AMD EPYC")[1]), (intel, SPEED.split("## An AMD EPYC")[0])):
        records = [json.loads((folder / f"{name}.json").read_text()) for name in names]
        apart = [one["difference"] for found in records for one in found["contenders"].values() if "difference" in one]
        logits, gradients = (f"{max(one[what] for one in apart):.1e}" for what in ("logits", "gradients"))
        assert f"outputs lie at most {logits} of the largest from fastai's, gradients" in section
        assert f"mode, {gradients}." in section
        assert [found["limits"] for found in records] == [LIMITS if "avx2" in name else {} for name in names]


@pytest.mark.parametrize("name", ["tails_camvid_lite0", "tails_camvid_resnet34_random"])
def test_the_page_on_speed_quotes_the_record_of_the_cheap_decoder(name):
    record = load_record(ROOT / f"notebooks/results/{name}.json")
    accuracy, iou = ({one.name: one for one in compare(record, metric)} for metric in ("accuracy", "mean_iou"))
    cheap, full = (
        f"{100 * accuracy[name].mean:.2f} ± {100 * accuracy[name].sd:.2f}" for name in ("bottleneck", "last-cross")
    )
    iou_cheap, iou_full = (
        f"{100 * iou[name].mean:.1f} ± {100 * iou[name].sd:.1f}" for name in ("bottleneck", "last-cross")
    )
    words = " ".join(SPEED.split())
    assert f"{cheap} % of the pixels against {full}, mean IoU {iou_cheap} against {iou_full}" in words


def test_the_page_on_speed_quotes_the_runs_with_each_decoder():
    timed = json.loads((ROOT / "notebooks/results/decoders/steps_lite0_cpu.json").read_text())
    assert "--rounds 15" in timed["command"]
    best, scores = {}, {}
    for kind in ("full", "cheap", "cheapest"):
        found = [one["train"] for name, one in timed["contenders"].items() if name.split(",")[0] == kind]
        best[kind] = min(found, key=lambda one: one["seconds"]["median"])
        paths = sorted((ROOT / "notebooks/results/decoders").glob(f"{kind}_*"))
        runs = [json.loads(path.read_text())["val"] for path in paths]
        assert len(runs) == 3
        accuracy, iou = scores[kind] = [[100 * run[metric] for run in runs] for metric in ("accuracy", "mean_iou")]
        faster = best["full"]["seconds"]["median"] / best[kind]["seconds"]["median"]
        step = "1.0" if kind == "full" else f"{faster:.1f} × as fast"
        memory = f"{best[kind]['peak_bytes'] / 2**30:.2f} GiB"
        right = f"{mean(accuracy):.2f} ± {stdev(accuracy):.2f} %"
        row = f"| {step} | {memory} | {right} | {mean(iou):.1f} ± {stdev(iou):.1f} |"
        assert row in next(line for line in SPEED.splitlines() if line.startswith(f"| {kind} |"))
    elsewhere = json.loads((ROOT / "notebooks/results/decoders/steps_lite0_cpu_intel.json").read_text())
    quickest = {
        kind: min(
            one["train"]["seconds"]["median"]
            for name, one in elsewhere["contenders"].items()
            if name.split(",")[0] == kind
        )
        for kind in scores
    }
    gains = (f"{quickest['full'] / quickest[kind]:.1f}" for kind in ("cheap", "cheapest"))
    assert "they gain less, {} and {} × as fast".format(*gains) in SPEED
    gains = []
    for size in ("96x128", "180x240", "360x480"):
        found = json.loads((ROOT / f"tests/benchmarks/results/overview_cpu_intel_{size}.json").read_text())
        full, cheap = (
            found["contenders"][n]["train"]["seconds"]["median"] for n in ("course", "course, cheap decoder")
        )
        gains.append(f"{full / cheap:.1f}")
    assert "on the Intel Xeon {}, {} and {} times at the three sizes".format(*gains) in SPEED
    ahead = {
        kind: [
            sum(a > b for a, b in zip(scores[kind][metric], scores["full"][metric], strict=True)) for metric in (0, 1)
        ]
        for kind in ("cheap", "cheapest")
    }
    assert ahead == {"cheap": [3, 3], "cheapest": [2, 3]}, "as the page on speed says"


SIZES = {"180x240": "180 × 240", "360x480": "360 × 480"}


def test_the_page_on_speed_quotes_bfloat16_around_a_small_encoder_and_counting():
    results = ROOT / "tests/benchmarks/results"
    for found in json.loads((results / "bfloat16_cpu_lite0.json").read_text())["contenders"].values():
        times = (
            "{median:.2f} ({low:.2f}–{high:.2f})".format(**found[job]["times_faster"]) for job in ("train", "infer")
        )
        cells = (
            f"{found['train']['seconds']['median']:.2f} s",
            *times,
            f"{found['train']['peak_bytes'] / 2**30:.2f} GiB",
        )
        row = f"| {' | '.join(cells)} |".replace("1.00 (1.00–1.00)", "1.00")
        assert any(line.endswith(row) for line in SPEED.splitlines()), row
    names = ("ladder_cpu_bf16_180x240", "ladder_cpu_bf16_360x480", "bfloat16_cpu_lite0")
    contenders = [json.loads((results / f"{name}.json").read_text())["contenders"].values() for name in names]
    rounded, exact = (
        [
            [
                100 * one["difference"]["gradients"]
                for one in found
                if "difference" in one and one["setting"]["amp"] == amp
            ]
            for found in contenders
        ]
        for amp in ("bf16", "none")
    )
    assert {round(value) for value in rounded[0] + rounded[1]} == {1, 2}
    assert {round(value) for value in rounded[2]} == {36} and round(max(map(max, exact)), 1) == 0.3
    low, high = (f"{next(iter(contenders[2]))['train']['seconds'][end]:.2f}" for end in ("low", "high"))
    assert f"(quartiles {low} to {high} s)" in SPEED
    runs = [json.loads((ROOT / f"notebooks/results/bfloat16/cheap_seed{n}.json").read_text()) for n in range(3)]
    same = [json.loads((ROOT / f"notebooks/results/decoders/cheap_seed{n}.json").read_text()) for n in range(3)]
    assert [run["command"].replace(" --amp bf16", "") for run in runs] == [run["command"] for run in same]
    right, iou = ([100 * run["val"][metric] for run in runs] for metric in ("accuracy", "mean_iou"))
    scores = f"{mean(right):.2f} ± {stdev(right):.2f} % of the pixels and mean IoU {mean(iou):.1f} ± {stdev(iou):.1f}"
    assert f"in bfloat16 has {scores}" in " ".join(SPEED.split())
    record = json.loads((results / "sort_or_count_cpu.json").read_text())
    counting, sorting = (f"{record['ways'][way]['seconds']['median']:.3f} s" for way in ("counting", "sorting"))
    times = "{median:.2f} times as fast ({low:.2f}–{high:.2f})".format(**record["ways"]["counting"]["times_faster"])
    words = " ".join(SPEED.split())
    assert f"counts them in {record['levels']} levels instead (a histogram): {counting} instead of {sorting}" in words
    assert f"{times}; the values lay {record['values_apart']:.0e} apart" in words


def test_the_page_on_speed_quotes_matched_gradients():
    records = [
        json.loads((ROOT / f"tests/benchmarks/results/gradient_format_{name}.json").read_text())["networks"]
        for name in ("resnet34", "lite0")
    ]
    for name in records[0]:
        cells = ("{median:.2f} ({low:.2f}–{high:.2f})".format(**record[name]["times_faster"]) for record in records)
        assert f"| {name} | {' | '.join(cells)} |" in SPEED


def test_readme_says_in_short_what_the_benchmarks_found():
    def record(name: str) -> dict:
        return json.loads((ROOT / f"tests/benchmarks/results/{name}.json").read_text())

    def step(name: str, contender: str) -> dict:
        return record(name)["contenders"][contender]["train"]

    def faster(name: str, contender: str) -> str:
        return f"{step(name, contender)['times_faster']['median']:.2f}"

    def span(*found: str) -> str:
        return "–".join(dict.fromkeys((min(found), max(found))))

    sizes = ("96x128", "180x240", "360x480")
    overviews = [f"overview_cpu_intel_{size}" for size in sizes]
    ladders = ("ladder_cpu_intel_96x128", "ladder_cpu_intel")
    products, theirs = "+ matrix products", "fastai with all but compile"
    same = [
        [faster(overview, "course"), faster(f"ladder_cpu_intel_compile_{size}", products)]
        for overview, size in zip(overviews, sizes, strict=True)
    ]
    cheap = [[faster(name, "course, cheap decoder")] for name in overviews]
    for i, name in enumerate(ladders):
        same[i].append(faster(name, products))
        cheap[i].append(faster(name, "+ bottleneck blocks"))
    same[0].append(faster("overview_cpu_intel_96x128_again", "course"))
    for row in (
        ["the same network, same maths (`--keep-memory --winograd`)", *(span(*found) for found in same)],
        ["another network: cheap decoder", *(span(*found) for found in cheap)],
        ["segmentation-models-pytorch's U-Net as it comes", *(faster(name, "smp") for name in overviews)],
    ):
        assert f"| {' | '.join(row)} |" in README, row
    compiled = [f"ladder_cpu_intel_compile_{size}" for size in sizes]
    for name in (*overviews, "overview_cpu_intel_96x128_again", *ladders, *compiled):
        found = record(name)
        assert found["date"] == "2026-11-30" and found["hardware"].startswith("Intel(R) Xeon(R)"), name
        assert f"fastai {found['versions']['fastai']}'s network as it comes" in README, name
    kept, less = (step(overviews[2], name)["peak_bytes"] / 2**30 for name in ("course", "course, memory not kept"))
    assert f"Keeping freed memory takes {kept - less:.1f} GiB more at 360 × 480" in SPEED
    for name in ladders:
        ours, other = (step(name, one)["times_faster"] for one in (products, theirs))
        assert ours["low"] < other["high"] and other["low"] < ours["high"], "as fast within the quartiles"
    half = ("ladder_cpu_intel_bf16", "ladder_cpu_intel_bf16_360x480")
    assert "*the course's network*: the same values to the last bit" in SPEED
    for name in (*ladders, *half[:1], "ladder_gpu"):
        assert set(record(name)["contenders"]["course"]["difference"].values()) == {0}
    for name in half:
        assert step(name, "+ bf16")["times_faster"]["median"] > step(name, theirs)["times_faster"]["median"]
    ours, other = (faster("ladder_gpu", name) for name in ("+ compile", theirs))
    quotient = f"{float(ours) / float(other):.2f} times"
    assert (record("ladder_gpu")["batch_size"], record("ladder_gpu")["date"]) == (8, "2026-11-26")
    assert "On one NVIDIA H200 (26 November 2026, torch 2.11), eight pictures of 360 × 480" in README
    assert f"the step is {ours} times as fast; against fastai's in bfloat16, {quotient}." in README
    assert f"The step is {quotient} as fast as that of fastai's network in the same precision" in SPEED


def test_the_page_on_speed_quotes_the_floor():
    records = [
        json.loads((ROOT / f"tests/benchmarks/results/floor_cpu_avx512_{name}.json").read_text())
        for name in ("fastai", "course", "cheap", "smp")
    ]
    for record in records:
        step = record["training_step"]
        cells = [f"{step['macs'] / 1e9:.1f} G", f"{step['bytes'] / 1e9:.1f} GB", f"{step['seconds']:.2f} s"]
        cells += [f"{step['times_above']['arithmetic']:.2f}", f"{step['times_above']['traffic']:.0f}"]
        assert any(line.endswith(f"| {' | '.join(cells)} |") for line in SPEED.splitlines()), record["command"]
    rates = [record["machine"]["convolution_macs_per_second"] / 1e9 for record in records]
    words = " ".join(SPEED.split())
    assert f"{min(rates):.0f} to {max(rates):.0f} G multiply-adds a second" in words
    assert f"more than {records[0]['training_step']['times_above']['arithmetic']:.2f} times as fast" in words
