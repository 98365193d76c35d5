"""Files are replaced whole, or stay what they were."""

import json
import math
import subprocess
import sys

import pytest

from course_utils.files import one_at_a_time, read_record, replacing, update_record, write_json


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": "Lovász"})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": math.nan})
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "x.json")
    write_json(tmp_path / "link.json", {"a": 1})
    assert (tmp_path / "link.json").is_symlink() and '"a": 1' in (tmp_path / "x.json").read_text()


HAMMER = """
import sys
from pathlib import Path
from course_utils.files import prove_writable, update_record

path, name = Path(sys.argv[1]), sys.argv[2]
for i in range(60):
    prove_writable(path)
    update_record(path, "a kind", lambda record: record.setdefault("runs", []).append({"by": name, "i": i}))
"""


def test_two_processes_lose_nothing_of_one_record(tmp_path):
    path = tmp_path / "x.json"
    both = [subprocess.Popen([sys.executable, "-c", HAMMER, str(path), name]) for name in "ab"]
    read = 0
    while any(process.poll() is None for process in both):
        if path.exists():
            json.loads(path.read_text())
            read += 1
    assert [process.returncode for process in both] == [0, 0] and read > 0
    runs = read_record(path, "a kind")["runs"]
    assert sorted((run["by"], run["i"]) for run in runs) == [(name, i) for name in "ab" for i in range(60)]
    assert list(tmp_path.iterdir()) == [path]


def test_one_process_at_a_time(tmp_path):
    waits_not = "import sys; from pathlib import Path; from course_utils.files import one_at_a_time\n"
    waits_not += "with one_at_a_time(Path(sys.argv[1]), wait=False): pass"
    command = [sys.executable, "-c", waits_not, str(tmp_path / "x")]
    with one_at_a_time(tmp_path / "x"):
        refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and "x; let it end, or name another file." in refused.stderr
    assert subprocess.run(command).returncode == 0


@pytest.mark.parametrize("runs", [{}, [{}], ["task"], [{"task": "jpeg"}]])
def test_a_record_without_its_runs_is_damaged(tmp_path, runs):
    update_record(tmp_path / "x.json", "a kind", lambda record: record.update(runs=runs))
    with pytest.raises(ValueError, match=r"x\.json is damaged: one of its runs is none; restore the file, or name"):
        read_record(tmp_path / "x.json", "a kind", ("task", "seed"))
