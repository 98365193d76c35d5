"""A long command is shown whole, in lines of limited width."""

from course_utils.experiments.origin import WIDTH, origin


def test_the_command_can_be_read_back_from_its_lines():
    command = "python -m course_utils.ablate_camvid --variants " + " ".join(f"transposed-k{i}" for i in range(20))
    first, *lines = origin({"date": "2026-11-26", "hardware": "AMD EPYC, 2 cores", "command": command}).splitlines()
    assert first == "2026-11-26, AMD EPYC, 2 cores"
    assert len(lines) > 2 and max(map(len, lines)) <= WIDTH
    assert " ".join(line.strip() for line in lines) == command
    assert lines[0].startswith("  python") and all(line.startswith(" " * 6) for line in lines[1:])
