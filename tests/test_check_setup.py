"""The report on a machine comes without PyTorch too, explains what is broken, and fails for what stops the course."""

import json
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from course_utils import check_setup
from course_utils.check_setup import NOTE, OK, PROBLEM, Finding
from course_utils.data_layout import LAYOUT

NMS = "operator torchvision::nms does not exist"
COURSE = ("course", str(check_setup.__file__))
EVERYTHING = dict(
    [COURSE, ("torch", "2.15.0"), ("torchvision", "0.29.2"), ("weights", ""), ("device", "cpu AMD, 2 cores")]
)


def states(findings):
    return {finding.name: finding.state for finding in findings}


def fake_package(folder, name, code):
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code)


def test_it_imports_nothing_that_may_be_broken():
    code = "import sys; import course_utils.check_setup; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "course_utils" in loaded
    assert not {"torch", "torchvision", "numpy", "IPython", "psutil", "playwright"} & set(loaded)


def test_the_table_comes_even_where_torch_cannot_be_imported(tmp_path, monkeypatch):
    fake_package(tmp_path, "torch", "raise ImportError('libcudart.so.12: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = [sys.executable, "-m", "course_utils.check_setup"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=check_setup.ROOT)
    assert done.returncode == 1 and done.stderr == ""
    told = " ".join(done.stdout.split())
    assert "torch cannot be imported (libcudart.so.12: cannot open shared object file) -> make a fresh" in told
    assert "weights note not checked: PyTorch comes first" in told
    assert "To be solved first: PyTorch." in told


def test_a_pair_from_different_builds_is_explained(tmp_path, monkeypatch):
    fake_package(tmp_path, "torch", "__version__ = '2.15.0+cpu'")
    fake_package(tmp_path, "torchvision", f"raise RuntimeError({NMS!r})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    pair = {finding.name: finding for finding in check_setup.check_torch(*check_setup.run_probe())}["PyTorch"]
    assert pair.state == PROBLEM
    assert pair.text.startswith("torch 2.15.0+cpu, torchvision ")
    assert pair.text.endswith(f": they come from different builds ({NMS})")
    assert "fresh environment" in pair.remedy


def test_the_environment_of_the_tests_has_it_all():
    steps, error = check_setup.run_probe()
    assert (list(steps), error) == (list(check_setup.STEPS), "")
    assert states(check_setup.check_torch(steps, error)) == dict.fromkeys(
        ("course", "PyTorch", "weights", "device"), OK
    )


def test_a_python_that_crashes_or_hangs_is_a_finding_too():
    assert check_setup.run_probe("import os; print('course x', flush=True); os._exit(3)") == (
        {"course": "x"},
        "Python ended with status 3",
    )
    assert check_setup.run_probe("while True: pass", timeout=0.2) == ({}, "no answer after 0.2 s")
    warned = "import sys; print('torch 1'); print('torch.FakeWarning: old', file=sys.stderr)"
    assert check_setup.run_probe(warned) == ({"torch": "1"}, "")


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ((), {"course": OK, "PyTorch": OK, "weights": OK, "device": OK}),
        (("device",), {"course": OK, "PyTorch": OK, "weights": OK, "device": PROBLEM}),
        (("weights", "device"), {"course": OK, "PyTorch": OK, "weights": PROBLEM, "device": NOTE}),
        (("torchvision", "weights", "device"), {"course": OK, "PyTorch": PROBLEM, "weights": NOTE, "device": NOTE}),
        (tuple(EVERYTHING), {"course": PROBLEM, "PyTorch": NOTE, "weights": NOTE, "device": NOTE}),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, tuple) else "",
)
def test_the_first_step_that_fails_is_the_problem(without, expected):
    steps = {step: text for step, text in EVERYTHING.items() if step not in without}
    findings = check_setup.check_torch(steps, "RuntimeError: no" if without else "")
    assert states(findings) == expected
    assert all(finding.remedy for finding in findings if finding.state == PROBLEM)


def test_another_copy_of_the_course_is_named(tmp_path):
    course = check_setup.check_torch(EVERYTHING | {"course": str(tmp_path / "course_utils" / "__init__.py")}, "")[0]
    assert course.state == PROBLEM and str(tmp_path) in course.text


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), PROBLEM), ((3, 11), OK), ((3, 12), OK), ((3, 13), NOTE), ((2, 7), PROBLEM)]
)
def test_python_versions(version, state):
    assert check_setup.check_python(version).state == state


def test_packages_beside_their_pins(tmp_path):
    pins = check_setup.read_pins()
    assert pins["torch"][0].startswith("2.") and not pins["torch"][1] and pins["pytest"][1]
    assert check_setup.check_packages({"pytest": (pytest.__version__, True)}).state == OK
    assert check_setup.check_packages(check_setup.read_pins(tmp_path / "none")).state == NOTE
    other = check_setup.check_packages({"pytest": ("1.0", True), "no-such-tool": ("1.0", True)})
    assert other.state == NOTE
    assert other.text == f"missing: no-such-tool; another version: pytest {pytest.__version__} for 1.0"
    assert check_setup.check_packages({"no-such-library": ("1.0", False)}).state == PROBLEM


def test_a_kernel_of_another_environment_is_a_problem(tmp_path, monkeypatch):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    for program, state in ((sys.executable, OK), ("python", OK), ("/elsewhere/bin/python", PROBLEM)):
        spec = {"argv": [program, "-m", "ipykernel_launcher"], "display_name": "x", "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
        assert check_setup.check_kernel().state == state, program


def test_disk_and_data(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    for free, state in ((2 * check_setup.GIB, OK), (100, NOTE)):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, free=free: usage(free, 0, free))
        assert check_setup.check_disk(tmp_path).state == state
    monkeypatch.setattr(check_setup.os, "access", lambda *_: False)
    assert check_setup.check_disk(tmp_path).state == PROBLEM

    assert "paints" in check_setup.check_data(tmp_path).text
    for folder, text in (("street_scenes", "painted street scenes"), ("camvid", "real CamVid")):
        (tmp_path / folder).mkdir()
        assert "not complete" in check_setup.check_data(tmp_path).text
        for name in LAYOUT:
            (tmp_path / folder / name).mkdir()
        assert check_setup.check_data(tmp_path).text == text


def test_without_chromium_it_says_how_to_get_one(monkeypatch):
    monkeypatch.setattr(check_setup, "find_chromium", lambda: None)
    chromium = check_setup.check_chromium()
    assert chromium.state == NOTE and "playwright install --with-deps chromium" in chromium.remedy


def test_only_problems_stop_the_course(monkeypatch, capsys):
    findings = [Finding("one", OK, "fine"), Finding("two", NOTE, "a word " * 30, "do this")]
    monkeypatch.setattr(check_setup, "check_all", lambda: findings)
    assert check_setup.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "one       ok       fine"
    assert lines[-2:] == [" " * 19 + "-> do this", "Nothing stops the course. Worth a look: two."]
    assert max(map(len, lines)) <= 100
    findings.append(Finding("three", PROBLEM, "broken", "mend it"))
    assert check_setup.main([]) == 1
    assert "To be solved first: three. Worth a look: two." in capsys.readouterr().out
