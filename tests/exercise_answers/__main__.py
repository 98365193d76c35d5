"""Counts what is proven of the exercises: ``python -m tests.exercise_answers``."""

from course_utils.exercises import EXERCISES, verdict
from tests.exercise_answers import RIGHT, TOPICS, WRONG

HEADINGS = ("exercises", "cases", "hints", "right answers passed", "wrong answers rejected", "stubs not yet")


def counts(names: list[str]) -> tuple[int, ...]:
    """One number for each of `HEADINGS`."""
    return (
        len(names),
        sum(len(EXERCISES[name].inputs()) for name in names),
        sum(len(EXERCISES[name].hints) for name in names),
        sum(verdict(name, RIGHT[name]).passed for name in names),
        sum(verdict(name, answer).kind == "wrong" for name in names for answer in WRONG[name].values()),
        sum(verdict(name, lambda *case: ...).kind == "not yet" for name in names),
    )


def main() -> None:
    """Print a row for each notebook's exercises, and their sum."""
    rows = {topic.__name__.rpartition(".")[2]: counts(list(topic.RIGHT)) for topic in TOPICS}
    rows["all"] = tuple(map(sum, zip(*rows.values(), strict=True)))
    print(f"{'':24}" + "".join(f"{heading:>{len(heading) + 2}}" for heading in HEADINGS))
    for name, numbers in rows.items():
        cells = zip(numbers, HEADINGS, strict=True)
        print(f"{name:24}" + "".join(f"{number:{len(heading) + 2}}" for number, heading in cells))


if __name__ == "__main__":
    main()
