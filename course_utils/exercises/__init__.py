"""Exercises that answer at once: `check(name, your_function)` compares with a reference, `hint(name)` helps.

The names that a notebook announces are the keys of `EXERCISES`; each module here holds those of one notebook.
"""

import textwrap
from collections import Counter

from course_utils.exercises.core import WIDTH, Exercise, Verdict, judge
from course_utils.exercises.five_restorations import FIVE_RESTORATIONS_EXERCISES
from course_utils.exercises.interpolation import INTERPOLATION_EXERCISES
from course_utils.exercises.pixel_shuffle import PIXEL_SHUFFLE_EXERCISES
from course_utils.exercises.restoration import RESTORATION_EXERCISES
from course_utils.exercises.segmentation import SEGMENTATION_EXERCISES
from course_utils.exercises.skips_and_hooks import SKIPS_AND_HOOKS_EXERCISES
from course_utils.exercises.transposed_convolution import TRANSPOSED_CONVOLUTION_EXERCISES
from course_utils.exercises.unet_training import UNET_TRAINING_EXERCISES

__all__ = ["EXERCISES", "check", "hint", "verdict"]

EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for exercise in (
        *SEGMENTATION_EXERCISES,
        *TRANSPOSED_CONVOLUTION_EXERCISES,
        *INTERPOLATION_EXERCISES,
        *PIXEL_SHUFFLE_EXERCISES,
        *SKIPS_AND_HOOKS_EXERCISES,
        *UNET_TRAINING_EXERCISES,
        *FIVE_RESTORATIONS_EXERCISES,
        *RESTORATION_EXERCISES,
    )
}

_hints_given: Counter[str] = Counter()


def check(name: str, answer: object) -> None:
    """Print whether your function does what the exercise asks: *exact*, *close*, *not yet*, or the smallest case
    in which it is wrong.

    Args:
        name: the exercise, as the notebook calls it.
        answer: your function itself, without parentheses.

    Raises:
        ValueError: if there is no exercise of that name.
    """
    _say(str(verdict(name, answer)))


def verdict(name: str, answer: object) -> Verdict:
    """What `check` prints, as an object: `.passed` tells whether the answer is right."""
    return judge(_exercise(name), answer)


def hint(name: str) -> None:
    """Print the hints given so far and the next: first where to look, then how, then nearly the answer.

    Raises:
        ValueError: if there is no exercise of that name.
    """
    hints = _exercise(name).hints
    _hints_given[name] += 1
    for number, text in enumerate(hints[: _hints_given[name]], 1):
        _say(f"{name}, hint {number} of {len(hints)}: {text}")
    if _hints_given[name] > len(hints):
        _say(f"{name}: that was the last hint; notebooks/solutions has a worked answer.")


def _say(text: str) -> None:
    """Print it, long lines on several: JupyterLab would break them within words."""
    for line in text.splitlines():
        print(line if len(line) <= WIDTH else textwrap.fill(line, WIDTH, subsequent_indent="  "))


def _exercise(name: str) -> Exercise:
    if not isinstance(name, str) or name not in EXERCISES:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(sorted(EXERCISES))}")
    return EXERCISES[name]
