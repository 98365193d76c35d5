"""Random generators: all of them come back through a checkpoint, and one seed sets all."""

import random

import numpy as np
import torch

from course_utils.checkpoint import load_checkpoint, save_checkpoint
from course_utils.random_state import rng_state, seed_everything, set_rng_state


def draw(owner):
    return [
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.randn(),
        torch.rand(()).item(),
        torch.randn(()).item(),
        torch.rand((), generator=owner.generator).item(),
    ]


class Owner:
    generator = torch.Generator()


def test_every_generator_comes_back_through_a_file(tmp_path):
    path = tmp_path / "run.pt"
    seed_everything(3)
    draw(Owner)  # an odd number of Gaussian draws leaves one in the pocket of Python's and NumPy's generators
    save_checkpoint(path, {"rng": rng_state([Owner, object()])})
    expected = draw(Owner)
    seed_everything(4)
    assert draw(Owner) != expected
    set_rng_state(load_checkpoint(path)["rng"], [Owner, object()])
    assert draw(Owner) == expected


def test_one_seed_sets_all_global_generators():
    def numbers(seed):
        seed_everything(seed)
        return random.random(), np.random.rand(), torch.rand(()).item()

    first, second = numbers(7), numbers(8)
    assert first == numbers(7)
    assert all(a != b for a, b in zip(first, second, strict=True))
    numbers(-1), numbers(2**40)
