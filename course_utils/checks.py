"""Refuse what cannot be meant, in one sentence that names the value. Imports no torch, which takes seconds."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np


def check_flags(**flags: object) -> None:
    """Raise a `ValueError` that names the first of `flags` that is not True or False: a word would count as True."""
    for name, flag in flags.items():
        if not isinstance(flag, bool | np.bool_):
            raise ValueError(f"{name}={flag!r} is not True or False.")


def check_choice(name: str, value: object, allowed: Sequence) -> None:
    """Raise a `ValueError` that names `value` and what is `allowed`, unless it is one of them."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(repr(choice) for choice in allowed)}.")


def check_whole(least: int = 1, **numbers: object) -> None:
    """Raise a `ValueError` that names the first of `numbers` that is no whole number of at least `least`."""
    for name, number in numbers.items():
        if not is_whole(number) or number < least:
            raise ValueError(f"{name}={number!r} is not a whole number of at least {least}.")


def check_sides(least: int = 1, **sizes: object) -> None:
    """Raise a `ValueError` that names the first of `sizes` that is not ``(H, W)`` in pixels, at least `least` each."""
    for name, size in sizes.items():
        pair = isinstance(size, tuple | list) and len(size) == 2
        if not pair or not all(is_whole(side) and side >= least for side in size):
            raise ValueError(f"{name}={size!r} is not (H, W) in whole pixels, both at least {least}.")


def is_whole(number: object) -> bool:
    """Whether it is a whole number, and neither True or False nor one of NumPy's that would soon overflow."""
    narrow = bool | np.unsignedinteger | np.int8 | np.int16
    return isinstance(number, Integral) and not isinstance(number, narrow)


def is_number(value: object) -> bool:
    """Whether it is a real number that tensors can be calculated with, and not True or False, nor a fraction."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_pair(value: object) -> bool:
    """Whether it is a tuple or list of two numbers."""
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(is_number, value))
