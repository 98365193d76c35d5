"""Every check accepts a right answer written another way, waits for a stub, and rejects the usual mistakes."""

import linecache
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.modules import module as torch_modules

from course_utils.exercises import EXERCISES, WIDTH, check, hint, verdict
from course_utils.exercises.core import LARGEST_SHOWN, Exercise, judge
from tests.exercise_answers import (
    ALSO_RIGHT,
    FORBIDDEN,
    RIGHT,
    WRONG,
    restoration,
    segmentation,
    skips_and_hooks,
    transposed_convolution,
)

ALL_FORBIDDEN = [(name, answer) for name in FORBIDDEN for answer in FORBIDDEN[name]]
ALL_MISTAKES = [(name, mistake) for name in WRONG for mistake in WRONG[name]]


def test_every_exercise_is_tested():
    assert set(EXERCISES) == set(RIGHT) == set(WRONG)
    assert all(len(wrong) >= 3 for wrong in WRONG.values())


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_written_another_way_passes(name, capsys):
    assert verdict(name, RIGHT[name]).passed
    check(name, RIGHT[name])
    assert capsys.readouterr().out.startswith(f"✔ {name}: ")


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name in ALSO_RIGHT for answer in ALSO_RIGHT[name]])
def test_a_right_answer_of_another_type_or_precision_passes(name, answer):
    assert verdict(name, ALSO_RIGHT[name][answer]).passed


@pytest.mark.parametrize(("name", "mistake"), ALL_MISTAKES)
def test_a_usual_mistake_is_rejected(name, mistake):
    outcome = verdict(name, WRONG[name][mistake])
    assert outcome.kind == "wrong", f"{mistake}: {outcome}"
    assert "reference" in outcome.text


@pytest.mark.parametrize(("name", "mistake"), ALL_MISTAKES)
def test_what_is_said_of_a_mistake_fits_its_lines_and_no_line_of_a_table_is_broken(name, mistake, capsys):
    check(name, WRONG[name][mistake])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= WIDTH
    table = re.search(r"\n  yours(:| +reference)\n.*", str(verdict(name, WRONG[name][mistake])), re.DOTALL)
    assert table is None or table[0] in printed


@pytest.mark.parametrize(("name", "answer"), ALL_FORBIDDEN)
def test_what_an_exercise_asks_to_do_without_is_rejected_though_its_values_are_right(name, answer):
    assert judge(replace(EXERCISES[name], without=()), FORBIDDEN[name][answer]).passed
    outcome = verdict(name, FORBIDDEN[name][answer])
    assert outcome.kind == "wrong"
    n_cases = len(EXERCISES[name].inputs())
    said = re.escape(f"✘ {name}: right in all {n_cases} cases, but yours calls ")
    assert re.fullmatch(said + r"\w+; this exercise asks to do without it\.", outcome.text), outcome.text


def test_what_exercises_ask_to_do_without_is_said_and_tested():
    forbidding = {name for name, exercise in EXERCISES.items() if exercise.without}
    assert forbidding == set(FORBIDDEN)
    assert all("without" in EXERCISES[name].specification for name in forbidding)


def test_a_wrong_answer_is_told_at_once_what_to_do_without():
    text = verdict("blur", lambda x: F.avg_pool2d(x[None], 2, stride=1)[0]).text
    assert "yours has shape (1, 1, 1), the reference (1, 2, 2)" in text
    assert text.endswith("\n  yours calls avg_pool2d; this exercise asks to do without it.")


def test_a_function_that_the_reference_calls_is_forbidden_to_the_answer_alone():
    padded = replace(DOUBLED, reference=lambda table, factor: F.pad(table, [0] * 4) * factor, without=("pad",))
    assert judge(padded, doubled).kind == "exact"
    assert judge(padded, padded.reference).kind == "wrong"


def raises(*arguments):
    raise NotImplementedError("write me")


STUBS = {"pass": lambda *a: None, "dots": lambda *a: ..., "raises": raises, "None": None, "Ellipsis": ...}


@pytest.mark.parametrize("stub", STUBS)
@pytest.mark.parametrize("name", RIGHT)
def test_an_untouched_stub_is_not_yet(name, stub):
    outcome = verdict(name, STUBS[stub])
    assert outcome.kind == "not yet" and not outcome.passed
    assert outcome.text.startswith(f"… {name}: not yet. {name}(")


def padded_in_two_dimensions(table, factor):
    return F.pad(table.float(), [1] * 4, mode="replicate")


def test_what_pytorch_has_not_implemented_is_an_error_in_a_written_answer():
    text = judge(DOUBLED, padded_in_two_dimensions).text
    assert "your function raised NotImplementedError: " in text, text


def in_one_case_only(table, factor):
    if len(table) < 20:
        return table * factor
    raise NotImplementedError


def test_a_case_left_unwritten_is_wrong():
    said = judge(DOUBLED, in_one_case_only)
    assert said.kind == "wrong" and "yours raises NotImplementedError" in said.text


def without_return(*arguments):
    """Written, but for its last line."""
    len(arguments)


def test_a_forgotten_return_is_named():
    said = verdict("remap_mask", without_return)
    assert said.kind == "wrong"
    assert said.text == "✘ remap_mask: yours runs and returns None, always: is a `return` missing?"


def empty_with_docstring(*arguments):
    """Not written."""
    ...


def test_a_stub_with_a_docstring_is_a_stub():
    assert verdict("remap_mask", empty_with_docstring).kind == "not yet"


@pytest.mark.parametrize("name", RIGHT)
def test_cases_are_the_same_in_every_run_and_the_smallest_comes_first(name):
    first, second = (str(EXERCISES[name].inputs()) for _ in range(2))
    assert first == second
    assert len(EXERCISES[name].inputs()) >= 4


def test_nearest_resizing_of_the_cases_is_what_torch_does_but_for_one_border_that_its_floats_miss():
    exercise = EXERCISES["remap_mask"]
    differ = [
        (mask.shape[0], height, (exercise.reference(mask, height, width) != torchs).any(dim=1).nonzero().tolist())
        for mask, height, width in exercise.inputs()
        for torchs in [segmentation.nearest_exact(mask, height, width)]
        if not torch.equal(exercise.reference(mask, height, width), torchs)
    ]
    assert differ == [(90, 77, [[38]])]


@pytest.mark.parametrize(
    ("name", "answer", "argument"),
    [
        ("even_out", transposed_convolution.even_out_in_place, "weight"),
        ("cross_entropy", segmentation.void_overwritten, "target"),
        ("receptive_field", segmentation.layers_used_up, "layers"),
        ("balanced_weights", restoration.weights_in_the_callers_list, "features"),
        ("pooled_accuracy", segmentation.void_marked_in_the_batches, "batches"),
    ],
)
def test_an_answer_that_overwrites_its_argument_is_told_so(name, answer, argument):
    said = verdict(name, answer)
    assert said.kind == "wrong"
    assert f"yours overwrites {argument}, the reference leaves it as it was" in said.text


@pytest.mark.parametrize("name", RIGHT)
def test_hints_come_one_by_one_below_those_given_before_and_end_with_the_solutions(name, capsys):
    for call in (1, 2, 3, 4, 5):
        hint(name)
        printed = capsys.readouterr().out
        assert max(map(len, printed.splitlines())) <= WIDTH
        lines = printed.replace("\n  ", " ").splitlines()
        given = EXERCISES[name].hints[:call]
        assert lines[: len(given)] == [f"{name}, hint {n} of 3: {text}" for n, text in enumerate(given, 1)]
        assert len(lines) == min(call, 4)
    assert "that was the last hint; notebooks/solutions has a worked answer" in lines[3]


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_asked_for_fits_its_lines(name, capsys):
    check(name, ...)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= WIDTH
    assert printed.replace("\n  ", " ").strip() == str(verdict(name, ...))


def test_a_model_that_came_frozen_says_so():
    said = str(verdict("freeze_but_norms", WRONG["freeze_but_norms"]["norms as they came"]))
    assert "model = Sequential(\n            came frozen: 0.weight, 0.bias, 1.weight, 1.bias\n" in said
    said = str(verdict("freeze_but_norms", WRONG["freeze_but_norms"]["every bias"]))
    assert "yours leaves 0.bias learning, the reference frozen" in said


def test_an_unknown_exercise_is_named():
    for ask in (hint, lambda name: check(name, len)):
        with pytest.raises(ValueError, match=r"no exercise 'remap'; there are .*cross_entropy, "):
            ask("remap")


def doubling_cases(generator):
    for side in (3, 1, 20):
        yield torch.arange(side * side).view(side, side), 2


def doubled(table, factor):
    return table * factor


DOUBLED = Exercise("doubled", "doubled(table, factor) multiplies.", doubled, doubling_cases, ("Multiply.",))


def test_numbers_that_look_the_same_are_shown_with_more_digits():
    rates = [torch.tensor([0.1, 0.01], dtype=torch.float64)]
    exercise = Exercise("rates", "rates().", lambda: rates[0], lambda generator: [()], (), tolerance=1e-12)
    text = judge(exercise, lambda: rates[0].float()).text
    assert "first at [0]: 0.100000001 instead of 0.1\n" in text
    assert "  yours:     [0.10000000149011612 , 0.009999999776482582]\n  reference: [0.1 , 0.01]" in text
    text = judge(exercise, lambda: rates[0] + 1e-11).text
    assert "first at [0]: 0.10000000001 instead of 0.1\n" in text


def test_the_smallest_failing_case_is_shown_beside_the_reference():
    text = judge(DOUBLED, lambda table, factor: table * factor + (table > 7)).text
    assert text == (
        "✘ doubled: wrong in 2 of 3 cases. The smallest of them:\n"
        "  table = [[0, 1, 2],\n"
        "           [3, 4, 5],\n"
        "           [6, 7, 8]]\n"
        "  factor = 2\n"
        "  1 of 9 values differ, first at [2, 2]: 17 instead of 16\n"
        "  yours            reference\n"
        "  [[ 0,  2,  4],   [[ 0,  2,  4],\n"
        "   [ 6,  8, 10],    [ 6,  8, 10],\n"
        "   [12, 14, 17]]    [12, 14, 16]]"
    )


def test_columns_too_wide_for_a_line_are_shown_one_below_the_other():
    wide = torch.arange(20.0).view(2, 10) / 3
    exercise = Exercise("thirds", "thirds().", lambda: wide, lambda generator: [()], ())
    text = judge(exercise, lambda: wide + 1).text
    above = "\n  yours:\n    [[1.       , 1.3333334, 1.6666667, 2.       , "
    assert above in text
    assert "\n  reference:\n    [[0.        , 0.33333334, 0.6666667 , 1.        , " in text


def test_large_tensors_are_shown_by_their_shape():
    text = judge(DOUBLED, lambda table, factor: table * factor + (table > LARGEST_SHOWN)).text
    assert "table = torch.int64 of shape (20, 20)" in text
    assert "335 of 400 values differ, first at [3, 5]: 131 instead of 130" in text


def beyond_the_table(table, factor):
    return table[99]


def test_an_exception_comes_with_the_line_that_raised_it_and_the_small_input():
    text = judge(DOUBLED, beyond_the_table).text
    line = beyond_the_table.__code__.co_firstlineno + 1
    assert text == (
        "✘ doubled: wrong in 3 of 3 cases. The smallest of them:\n"
        "  your function raised IndexError: index 99 is out of bounds for dimension 0 with size 1\n"
        f"  in your line {line}: return table[99]\n"
        "  for table = [[0]]\n"
        "      factor = 2"
    )


@torch.no_grad()
def decorated_beyond_the_table(table, factor):
    return table[99]


@torch.no_grad()
def decorated_stub(table, factor): ...


@torch.no_grad()
def decorated_and_unwritten(table, factor):
    raise NotImplementedError


def test_behind_a_decorator_lies_what_the_learner_wrote():
    line = decorated_beyond_the_table.__wrapped__.__code__.co_firstlineno + 2
    assert f"in your line {line}: return table[99]" in judge(DOUBLED, decorated_beyond_the_table).text
    assert judge(DOUBLED, decorated_stub).kind == "not yet"
    assert judge(DOUBLED, decorated_and_unwritten).kind == "not yet"


def test_an_exception_in_a_large_case_comes_with_the_shape_of_the_input():
    text = judge(DOUBLED, lambda table, factor: table * factor if len(table) < 9 else table.item()).text
    assert "  for table = torch.int64 of shape (20, 20)\n      factor = 2" in text


def test_the_line_of_an_exception_is_known_in_a_cell_and_left_out_where_there_is_none():
    cell = "def doubled(table, factor):\n    size = table.shape\n    return (\n        table[size]\n    )\n"
    linecache.cache["cell_2.py"] = (len(cell), None, cell.splitlines(keepends=True), "cell")
    names = {}
    exec(compile(cell, "cell_2.py", "exec"), names)
    assert "\n  in your line 4: table[size]\n  for table = [[0]]" in judge(DOUBLED, names["doubled"]).text
    del linecache.cache["cell_2.py"]
    assert "\n  in your line 4\n  for table = [[0]]" in judge(DOUBLED, names["doubled"]).text
    assert "in your line" not in judge(DOUBLED, torch.linalg.cholesky).text


def test_an_answer_that_is_missing_in_some_cases_only_is_wrong():
    text = judge(DOUBLED, lambda table, factor: table * factor if len(table) < 3 else None).text
    assert "yours returns None" in text and "wrong in 2 of 3" in text


def test_the_result_of_a_call_is_no_function():
    assert judge(DOUBLED, 3).text == "✘ doubled: got 3, which is no function; hand over the function itself: " + (
        "check('doubled', doubled)"
    )


def test_a_function_that_changes_its_arguments_harms_nobody():
    def in_place(table, factor):
        table *= factor
        return table

    assert "wrong in 2 of 3" in judge(DOUBLED, in_place).text  # twice 0 is 0
    assert judge(DOUBLED, doubled).kind == "exact"


def global_hooks():
    return {name: str(hooks) for name, hooks in vars(torch_modules).items() if name.startswith("_global_")}


def a_hook_and_an_error(model, x):
    torch_modules.register_module_forward_pre_hook(print)
    raise ValueError


def test_a_hook_on_all_modules_that_stays_is_named_and_removed_and_no_other(capsys):
    before = global_hooks()
    text = verdict("mean_activations", skips_and_hooks.global_hook_stays).text
    assert "yours leaves 1 hook on all modules there are (now removed), the reference none" in text
    own = torch_modules.register_module_forward_hook(lambda module, inputs, output: None)
    assert verdict("mean_activations", RIGHT["mean_activations"]).passed
    assert verdict("mean_activations", a_hook_and_an_error).kind == "wrong"
    assert list(torch_modules._global_forward_hooks) == [own.id]
    own.remove()
    assert global_hooks() == before
    assert not capsys.readouterr().out  # of the hook that prints, in a later case


def test_an_argument_that_holds_nan_is_not_taken_as_overwritten():
    cases = [([torch.tensor([1.0, float("nan")])],)]
    exercise = Exercise("first", "first(parts).", lambda parts: parts[0], lambda generator: cases, ())
    assert judge(exercise, lambda parts: parts[0].clone()).passed


def test_arrays_lists_and_other_shapes():
    assert judge(DOUBLED, lambda table, factor: np.asarray(table) * factor).passed
    assert judge(DOUBLED, lambda table, factor: (table * factor).tolist()).passed
    assert "yours has shape (1,), the reference (1, 1)" in judge(DOUBLED, lambda table, factor: table[0]).text
    assert "yours is str, the reference torch.int64" in judge(DOUBLED, lambda table, factor: "8").text
    assert judge(DOUBLED, lambda table, factor: [row * factor for row in table]).passed
    floats = "yours holds torch.float32, the reference torch.int64: whole numbers should stay whole"
    assert floats in judge(DOUBLED, lambda table, factor: table * 2.0).text
    floats = floats.replace("torch.float32", "torch.float64")
    assert floats in judge(DOUBLED, lambda table, factor: (table * 2.0).tolist()).text


def test_a_list_that_is_no_table_is_told_so():
    exercise = Exercise("pair", "pair(x).", lambda x: [x, x], lambda generator: [(1,)], ())
    assert "yours is list, the reference list (the nesting differs)" in judge(exercise, lambda x: [[x], x]).text


def test_true_and_false_are_asked_for_where_the_reference_has_them():
    exercise = Exercise("even", "even(x).", lambda x: x % 2 == 0, lambda generator: [(1,), (2,)], ())
    assert judge(exercise, lambda x: np.bool_(x % 2 == 0)).passed
    for wrong in (lambda x: 1 - x % 2, lambda x: 1.0 - x % 2):
        assert "the reference torch.bool: True and False are asked for" in judge(exercise, wrong).text


def test_floats_of_python_are_compared_in_all_their_digits():
    exercise = Exercise("third", "third(x).", lambda x: x / 3, lambda generator: [(1.0,)], (), tolerance=1e-9)
    assert judge(exercise, lambda x: np.float64(x) / 3).kind == "exact"
    assert judge(exercise, lambda x: x / 3 + 2e-9).kind == "wrong"


def halving(error):
    cases = [(torch.tensor([1.0, float("nan"), float("inf"), 4000.0]),)]
    exercise = Exercise("halved", "halved(x) halves.", lambda x: x / 2, lambda generator: cases, (), tolerance=1e-5)
    return judge(exercise, lambda x: x / 2 + torch.tensor([0, 0, 0, error]))


def test_rounding_is_close_and_given_as_a_power_of_ten():
    assert halving(0.0).text == "✔ halved: exact in all 1 cases."
    assert halving(0.005).text == "✔ halved: close in all 1 cases (max difference below 1e-05)."
    assert halving(0.005).kind == "close"
    assert halving(0.05).kind == "wrong"
    assert halving(float("nan")).kind == "wrong"


def test_views_that_numpy_cannot_show_are_judged_like_others():
    for wrong in (
        lambda c: torch.fft.fft(c.double().diagonal()).conj().imag,
        lambda c: torch.view_as_complex(torch.rand(len(c), 2)).conj(),
    ):
        assert verdict("iou_from_confusion", wrong).kind == "wrong"


class Unshowable:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "give",
    [
        lambda right: right + 5j,
        lambda right: (right + 1).bfloat16(),
        lambda right: right.float().to_sparse() + 1,
        lambda right: right.to("meta"),
        lambda right: Unshowable(),
        lambda right: "x" * 100_000,
        lambda right: list(range(200_000)),
    ],
)
def test_whatever_is_returned_gets_an_answer_of_reasonable_length(give):
    said = verdict("remap_mask", lambda *case: give(RIGHT["remap_mask"](*case)))
    assert said.kind == "wrong" and len(str(said)) < 3000


def test_a_flipped_array_is_taken_as_what_it_is():
    assert verdict("remap_mask", lambda *case: np.flip(np.flip(RIGHT["remap_mask"](*case).numpy()))).passed


def test_a_name_that_is_no_text_is_named():
    with pytest.raises(ValueError, match=r"no exercise \[\]"):
        check([], len)


def test_an_answer_that_cannot_be_shown_is_no_function_all_the_same():
    assert judge(DOUBLED, Unshowable()).text.startswith("✘ doubled: got Unshowable, which cannot be shown")


def test_an_answer_that_leaves_python_is_wrong_and_no_more():
    assert "your function raised SystemExit" in judge(DOUBLED, lambda table, factor: sys.exit("bye")).text


class Unreadable(list):
    def __len__(self):
        raise ZeroDivisionError


def test_a_result_that_cannot_be_read_is_named_by_its_type():
    assert "yours is Unreadable, the reference" in judge(DOUBLED, lambda table, factor: Unreadable()).text
