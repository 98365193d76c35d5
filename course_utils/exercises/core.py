"""How an answer is judged: run on seeded inputs beside a reference, compared, and told apart from an empty stub."""

import copy
import dis
import inspect
import linecache
import math
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules import module as torch_modules
from torch.overrides import TorchFunctionMode

SEED = 0
LARGEST_SHOWN = 64
"""Tensors of at most this many elements are printed in full when an answer is wrong."""
LONGEST_SHOWN = 400
"""Anything else is cut off after so many characters."""
WIDTH = 100
"""Characters in a printed line."""
INDENT = "  "
"""Before what is said of a case."""


@dataclass(frozen=True)
class Exercise:
    """One thing to write.

    Attributes:
        name: what `check` and `hint` call it; also the name of the function that the notebook leaves empty.
        specification: one sentence that says what the function takes and gives.
        reference: the right answer.
        cases: from a generator for random numbers, the tuples of arguments to try, small ones among them.
        hints: up to three, from a nudge to nearly the answer.
        tolerance: largest difference, relative to values above one, that counts as rounding; 0 asks for equality.
        without: parts of the names of PyTorch's functions that an answer may not call: "conv" is every convolution.
        left_behind: from the arguments before and after an answer, what is wrong with these, or ""; that tensors and
            lists are as they were is looked at in every exercise.
    """

    name: str
    specification: str
    reference: Callable[..., Any]
    cases: Callable[[torch.Generator], Iterable[tuple]]
    hints: tuple[str, ...]
    tolerance: float = 0.0
    without: tuple[str, ...] = ()
    left_behind: Callable[[tuple, tuple], str] = lambda before, after: ""

    def inputs(self) -> list[tuple]:
        """The arguments to try, smallest first; the same in every run."""
        return sorted(self.cases(torch.Generator().manual_seed(SEED)), key=_size)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check; as text, what the learner reads."""

    kind: str  # "exact", "close", "not yet" or "wrong"
    text: str

    @property
    def passed(self) -> bool:
        return self.kind in ("exact", "close")

    def __str__(self) -> str:
        return self.text


def judge(exercise: Exercise, answer: object) -> Verdict:
    """Run `answer` on every case of `exercise` and compare it with the reference. Never raises for what it is given."""
    if answer is None or answer is ...:
        return _not_yet(exercise)
    if not callable(answer):
        remedy = f"hand over the function itself: check({exercise.name!r}, {exercise.name})"
        return Verdict("wrong", f"✘ {exercise.name}: got {_show(answer)}, which is no function; {remedy}")
    cases = exercise.inputs()
    watch = _Watch(exercise.without)
    outcomes = [_compare(exercise, answer, case, watch) for case in cases]
    if all(outcome.missing for outcome in outcomes):
        if _forgot_to_return(answer, outcomes):
            return Verdict("wrong", f"✘ {exercise.name}: yours runs and returns None, always: is a `return` missing?")
        return _not_yet(exercise)
    wrong = [outcome.complaint for outcome in outcomes if outcome.complaint]
    if wrong:
        head = f"{exercise.name}: wrong in {len(wrong)} of {len(cases)} cases. The smallest of them:"
        smallest = f"{wrong[0]}\n{watch.complaint}".rstrip()
        return Verdict("wrong", f"✘ {head}\n{textwrap.indent(smallest, INDENT)}")
    if watch.complaint:
        return Verdict("wrong", f"✘ {exercise.name}: right in all {len(cases)} cases, but {watch.complaint}")
    difference = max(outcome.difference for outcome in outcomes)
    if difference == 0:
        return Verdict("exact", f"✔ {exercise.name}: exact in all {len(cases)} cases.")
    # A power of ten: the digits of a rounding error differ from machine to machine.
    bound = f"1e{math.floor(math.log10(difference)) + 1:+03d}"
    return Verdict("close", f"✔ {exercise.name}: close in all {len(cases)} cases (max difference below {bound}).")


def _not_yet(exercise: Exercise) -> Verdict:
    text = f"… {exercise.name}: not yet. {exercise.specification} (hint({exercise.name!r}) helps.)"
    return Verdict("not yet", text)


@dataclass(frozen=True)
class _Outcome:
    """One case: `complaint` is empty if the answer is right there, `missing` if it gave nothing at all.

    `unwritten`: its own code raised NotImplementedError.
    """

    difference: float = 0.0
    complaint: str = ""
    missing: bool = False
    unwritten: bool = False


def _stub(*arguments: Any) -> None: ...


def _code_of(answer: Callable[..., Any]) -> Any:
    """What the learner wrote, also behind a decorator such as ``@torch.no_grad()``; None for what is no function."""
    with suppress(ValueError):  # decorators that wrap each other in a circle
        answer = inspect.unwrap(answer)
    return getattr(answer, "__code__", None)


def _forgot_to_return(answer: Callable[..., Any], outcomes: Iterable[_Outcome]) -> bool:
    """Whether a function that gave nothing does more than a stub, which has nothing but a docstring and ``...``."""
    code = _code_of(answer)
    does_something = code is not None and len(code.co_code) > len(_stub.__code__.co_code)
    return does_something and not any(outcome.unwritten for outcome in outcomes)


class _Watch(TorchFunctionMode):
    """Notes the first function of PyTorch, called inside, whose name has one of some parts."""

    def __init__(self, parts: tuple[str, ...]) -> None:
        super().__init__()
        self.parts, self.complaint = parts, ""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        name = getattr(func, "__name__", "")
        if not self.complaint and any(part in name for part in self.parts):
            self.complaint = f"yours calls {name}; this exercise asks to do without it."
        return func(*args, **(kwargs or {}))


@contextmanager
def _without_new_hooks() -> Iterator[set[int]]:
    """Takes off the hooks that are hung inside on all modules there are; at the end gives their numbers."""
    kinds = [hooks for name, hooks in vars(torch_modules).items() if name.startswith("_global_")]
    tables = [(hooks, set(hooks)) for hooks in kinds if isinstance(hooks, dict)]
    added: set[int] = set()
    try:
        yield added
    finally:
        for hooks, before in tables:
            for number in set(hooks) - before:
                del hooks[number]
                added.add(number)


def _compare(exercise: Exercise, answer: Callable[..., Any], case: tuple, watch: _Watch) -> _Outcome:
    expected = exercise.reference(*copy.deepcopy(case))
    arguments = copy.deepcopy(case)
    shown = _arguments(exercise.reference, case)
    try:
        with watch, _without_new_hooks() as hooks:
            given = answer(*arguments)
    except (Exception, SystemExit) as error:  # exit() in an answer ends neither the check nor a program
        if _says_unwritten(answer, error):
            return _Outcome(missing=True, unwritten=True, complaint=f"{shown}\nyours raises NotImplementedError")
        small = _arguments(exercise.reference, case, full=_size(case) <= LARGEST_SHOWN)
        given_to = "for " + small.replace("\n", "\n    ")
        said = [f"your function raised {_show_error(error)}", _line_of(answer, error), given_to]
        return _Outcome(complaint="\n".join(filter(None, said)))
    if given is None or given is ...:
        return _Outcome(missing=True, complaint=f"{shown}\nyours returns {given}, the reference {_show(expected)}")
    complaint, difference = _difference(given, expected, exercise.tolerance)
    if complaint:
        return _Outcome(complaint=f"{shown}\n{complaint}\n{_side_by_side(given, expected)}")
    if hooks:
        left = f"{len(hooks)} hook{'s' * (len(hooks) > 1)} on all modules there are (now removed)"
        return _Outcome(complaint=f"{shown}\nyours leaves {left}, the reference none")
    try:
        left = _overwritten(exercise.reference, case, arguments) or exercise.left_behind(case, arguments)
    except Exception as error:  # an answer may do anything to what it is given
        left = f"yours leaves arguments that cannot be read ({_show_error(error)}), the reference leaves them whole"
    if left:
        return _Outcome(complaint=f"{shown}\n{left}")
    return _Outcome(difference=difference)


def _overwritten(reference: Callable[..., Any], before: tuple, after: tuple) -> str:
    names = inspect.signature(reference).parameters
    changed = [name for name, old, new in zip(names, before, after, strict=True) if not _same(old, new)]
    return f"yours overwrites {changed[0]}, the reference leaves it as it was" if changed else ""


def _same(before: Any, after: Any) -> bool:
    """Whether tensors, lists, dicts and modules hold what they held; of all else only the exercise knows."""
    if isinstance(before, nn.Module):
        before, after = dict(before.state_dict()), dict(after.state_dict())
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(_same(before[key], after[key]) for key in before)
    if isinstance(before, torch.Tensor):
        if before.shape != after.shape:
            return False
        return bool(((before == after) | (before.isnan() & after.isnan())).all())
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(_same, before, after))
    return before == after if isinstance(before, (int, float)) else True


def _says_unwritten(answer: Callable[..., Any], error: BaseException) -> bool:
    """Whether a `raise NotImplementedError` in the answer itself was met; PyTorch raises it too."""
    if not isinstance(error, NotImplementedError):
        return False
    place = error.__traceback__
    while place.tb_next:
        place = place.tb_next
    code = place.tb_frame.f_code
    return code is _code_of(answer) and dis.opname[code.co_code[place.tb_lasti]] == "RAISE_VARARGS"


def _line_of(answer: Callable[..., Any], error: BaseException) -> str:
    """The innermost line of the answer's own file, which in Jupyter is a cell, on the way to the error; "" if none."""
    file = getattr(_code_of(answer), "co_filename", None)
    lines = [number for frame, number in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    if not lines:
        return ""
    source = linecache.getline(file, lines[-1]).strip()
    return f"in your line {lines[-1]}" + (f": {source}" if source else "")


def _show_error(error: BaseException) -> str:
    try:
        said = str(error).strip()
    except Exception:
        said = ""
    return f"{type(error).__name__}: {said}".splitlines()[0][:LONGEST_SHOWN]


def _difference(given: Any, expected: Any, tolerance: float) -> tuple[str, float]:
    """What is wrong with `given` ("" if nothing), and the largest difference, relative to values above one."""
    try:
        yours, reference = _plain_tensor(given), _plain_tensor(expected)
    except Exception:  # an object may raise anything when it is asked for its numbers
        nested = " (the nesting differs)" if type(given) is type(expected) else ""
        return f"yours is {_type(given)}, the reference {_type(expected)}{nested}", math.inf
    if yours.is_complex() and not reference.is_complex():
        return f"yours is {yours.dtype}, the reference {reference.dtype}", math.inf
    if yours.shape != reference.shape:
        return f"yours has shape {tuple(yours.shape)}, the reference {tuple(reference.shape)}", math.inf
    if reference.dtype == torch.bool != yours.dtype:
        return f"yours holds {yours.dtype}, the reference torch.bool: True and False are asked for", math.inf
    if not reference.is_floating_point() and yours.is_floating_point():
        return f"yours holds {yours.dtype}, the reference {reference.dtype}: whole numbers should stay whole", math.inf
    left, right = yours.double(), reference.double()
    # Equal infinities would differ by nan, and two nans say the same.
    same = (left == right) | (left.isnan() & right.isnan())
    gap = torch.where(same, 0.0, (left - right).abs() / right.abs().clamp(min=1)).nan_to_num(nan=math.inf)
    largest = gap.max().item() if gap.numel() else 0.0
    if largest <= tolerance:
        return "", largest
    if not gap.ndim:
        return "the value differs", largest
    where = tuple((gap > tolerance).nonzero()[0].tolist())
    yours, reference = _apart(left[where].item(), right[where].item())
    first = f"first at {list(where)}: {yours} instead of {reference}"
    return f"{int((gap > tolerance).sum())} of {gap.numel()} values differ, {first}", largest


def _apart(*numbers: float) -> list[str]:
    """Two numbers with as many digits as it takes to tell them apart, and six at least."""
    for digits in range(6, 18):
        texts = [f"{number:.{digits}g}" for number in numbers]
        if texts[0] != texts[1]:
            break
    return texts


def _plain_tensor(value: Any) -> torch.Tensor:
    """The value as a dense tensor on the CPU, of a type that numpy knows too; Python's floats keep all their digits."""
    if isinstance(value, np.ndarray):
        value = np.ascontiguousarray(value)
    elif isinstance(value, (list, tuple)) and value and all(isinstance(part, torch.Tensor) for part in value):
        value = torch.stack([part.detach() for part in value])
    tensor = torch.as_tensor(value).detach().to_dense().cpu().resolve_conj().resolve_neg()
    if not tensor.is_floating_point() or tensor.dtype == torch.float64:
        return tensor
    if isinstance(value, torch.Tensor | np.ndarray):
        return tensor.float()
    return torch.as_tensor(value, dtype=torch.float64)


def _type(value: Any) -> str:
    return str(value.dtype) if isinstance(value, torch.Tensor) else type(value).__name__


def _side_by_side(given: Any, expected: Any) -> str:
    """Yours in a column beside the reference's; above it, if both are a line or the columns are too wide."""
    texts = _show(given), _show(expected)
    if texts[0] == texts[1]:
        texts = _show(given, unique=True), _show(expected, unique=True)
    left, right = (text.splitlines() for text in texts)
    if len(left) == len(right) == 1:
        return f"yours:     {left[0]}\nreference: {right[0]}"
    rows = [("yours", "reference"), *zip_longest(left, right, fillvalue="")]
    width = max(len(row[0]) for row in rows)
    beside = [f"{a:<{width}}   {b}".rstrip() for a, b in rows]
    if max(map(len, beside)) <= WIDTH - len(INDENT):
        return "\n".join(beside)
    return "\n  ".join(["yours:", *left]) + "\n" + "\n  ".join(["reference:", *right])


def _arguments(reference: Callable[..., Any], case: tuple, *, full: bool = True) -> str:
    names = list(inspect.signature(reference).parameters)
    pairs = [(f"{name} = ", _show(value, full=full)) for name, value in zip(names, case, strict=True)]
    return "\n".join(prefix + text.replace("\n", "\n" + " " * len(prefix)) for prefix, text in pairs)


def _show(value: Any, *, full: bool = True, unique: bool = False) -> str:
    """A value as the learner would type it; large tensors, and all if not `full`, by type and shape.

    If `unique`, tensors with all digits that tell their numbers from others in double precision.
    """
    if isinstance(value, torch.Tensor):
        if full and value.numel() <= LARGEST_SHOWN and not value.is_meta:
            numbers = _plain_tensor(value)
            if unique and numbers.is_floating_point():
                numbers = numbers.double()
            shown = np.array2string(numbers.numpy(), separator=", ", floatmode="unique" if unique else None)
            return "\n".join(filter(None, shown.splitlines()))
        return f"{value.dtype} of shape {tuple(value.shape)}"
    if isinstance(value, (list, tuple)) and _holds_tensors(value):
        opening, closing = "[]" if isinstance(value, list) else "()"
        return (
            opening
            + ",\n ".join(_show(part, full=full, unique=unique).replace("\n", "\n ") for part in value)
            + closing
        )
    try:
        text = repr(value)
    except Exception as error:
        return f"{type(value).__name__}, which cannot be shown ({type(error).__name__})"
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + " …"


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or (isinstance(value, (list, tuple)) and any(map(_holds_tensors, value)))


def _size(case: Any) -> int:
    """Number of values in a case: the order from small to large."""
    if isinstance(case, torch.Tensor):
        return case.numel()
    if isinstance(case, (list, tuple)):
        return sum(map(_size, case))
    return 1
