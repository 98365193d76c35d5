"""Random generators: seeding them, and the state of every one that a training run draws from."""

import random
from collections.abc import Iterable
from operator import index
from typing import Any

import numpy as np
import torch

from course_utils.checks import is_whole


def whole_seed(seed: int) -> int:
    """`seed` as a number of Python, to which anything can be added.

    Raises:
        ValueError: if it is no whole number.
    """
    if not is_whole(seed):
        raise ValueError(f"seed={seed!r} is not a whole number.")
    return index(seed)


def seeded_generator(seed: int) -> torch.Generator:
    """A generator on the CPU, of any whole seed, so that every device damages the same picture in the same way.

    Raises:
        ValueError: if the seed is no whole number.
    """
    return torch.Generator().manual_seed(whole_seed(seed) % 2**63)


def rng_state(owners: Iterable[object] = ()) -> dict[str, Any]:
    """States of the global generators of Python, NumPy and torch (all devices), and of `generator` in the `owners`."""
    algorithm, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [algorithm, torch.from_numpy(keys.astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        "owners": [generator.get_state() for generator in _generators(owners)],
    }


def set_rng_state(state: dict[str, Any], owners: Iterable[object] = ()) -> None:
    """Set what `rng_state` returned; devices that are not here are left out."""
    random.setstate(state["python"])
    algorithm, keys, *rest = state["numpy"]
    np.random.set_state((algorithm, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available():
        for device, device_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(device_state, device)
    if state["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
    for generator, generator_state in zip(_generators(owners), state["owners"], strict=False):
        generator.set_state(generator_state)


def _generators(owners: Iterable[object]) -> list[torch.Generator]:
    found = {id(owner): getattr(owner, "generator", None) for owner in owners}
    return [generator for generator in found.values() if isinstance(generator, torch.Generator)]


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (all devices) with the same number."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
