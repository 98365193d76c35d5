"""The variants differ by what their name says and nothing else; their costs are counted a second time by hand."""

import copy
import functools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.camvid import load_split
from course_utils.experiments import ablations
from course_utils.experiments.ablations import (
    RECIPE,
    RECIPE_OPTIONS,
    VARIANTS,
    Budget,
    Variant,
    build_variant,
    multiply_adds,
    time_steps,
    train_and_score,
    variant_facts,
)
from course_utils.unet import DynamicUnet
from tests.two_halves import write_two_halves

SIZE = (32, 64)


@functools.cache
def model_of(name: str, seed: int = 0) -> DynamicUnet:
    return build_variant(VARIANTS[name], 12, SIZE, pretrained=False, seed=seed)


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    return functools.partial(load_split, write_two_halves(tmp_path_factory.mktemp("data") / "scenes"))


def test_every_variant_changes_the_recipe_and_no_two_are_alike():
    seen = [(sorted(map(str, (RECIPE_OPTIONS | v.options).items())), v.lr_factor, v.change) for v in VARIANTS.values()]
    assert all(seen.count(entry) == 1 for entry in seen)
    assert not VARIANTS[RECIPE].options and len({v.label for v in VARIANTS.values()}) == len(VARIANTS) == 19


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != RECIPE])
def test_a_variant_starts_from_the_recipes_weights(name):
    recipe, variant = model_of(RECIPE).state_dict(), model_of(name).state_dict()
    common = [key for key in variant if key in recipe and variant[key].shape == recipe[key].shape]
    unequal = [key for key in common if not torch.equal(variant[key], recipe[key])]
    assert bool(unequal) == (name == "shuffle-random")  # whose start is its own; the others' upsamplers differ in name
    assert all(".up." in key or key.startswith("final_up") for key in unequal)
    shared = sum(recipe[key].numel() for key in common) - sum(recipe[key].numel() for key in unequal)
    assert shared > 0.6 * sum(value.numel() for value in recipe.values())


def test_the_random_start_is_not_the_icnr_start():
    weights = {name: model_of(name).blocks[0].up[0][0].weight for name in (RECIPE, "shuffle-random", "shuffle-blur")}
    equal = {name: torch.equal(weight[0], weight[1]) for name, weight in weights.items()}
    assert equal == {RECIPE: True, "shuffle-random": False, "shuffle-blur": True}


def test_seeds_give_other_decoders_and_the_same_seed_the_same():
    first, again, other = (build_variant(VARIANTS["resblock"], 12, SIZE, pretrained=False, seed=s) for s in (0, 0, 1))
    assert torch.equal(first.head[0].weight, again.head[0].weight)
    assert not torch.equal(first.head[0].weight, other.head[0].weight)


def macs_by_hand(model: nn.Module, size: tuple[int, int]) -> int:
    """Products of every convolution, from the shapes that pass through it."""
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        grid = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        total += layer.weight.numel() * grid.shape[-2] * grid.shape[-1]

    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    handles = [layer.register_forward_hook(count) for layer in convolutions]
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, *size))
    for handle in handles:
        handle.remove()
    return total


@pytest.mark.parametrize(
    "name", [RECIPE, "transposed-k3", "nearest", "skip-add", "resblock", "last-cross", "convolve-apart"]
)
def test_multiply_adds_are_those_counted_by_hand(name):
    assert multiply_adds(model_of(name), SIZE) == macs_by_hand(model_of(name), SIZE)


def test_counting_leaves_every_layer_in_its_mode():
    model = build_variant(VARIANTS[RECIPE], 12, SIZE, pretrained=False, seed=0).train()
    model.encoder.eval()
    multiply_adds(model, SIZE)
    assert model.middle.training and not any(module.training for module in model.encoder.modules())


def test_facts_of_a_variant_follow_from_the_code():
    facts = variant_facts("norm-none-slow", 12, SIZE)
    assert facts["options"] == RECIPE_OPTIONS | {"norm_type": None} and facts["lr_factor"] == 0.2
    assert facts["parameters"] == sum(p.numel() for p in model_of("norm-none").parameters())


def influence(name: str, block: int) -> tuple[Tensor, Tensor]:
    """How much each output channel of a block's convolutions depends on what comes from below, and from across."""
    convs = copy.deepcopy(model_of(name).blocks[block].convs).eval()
    n_across = model_of(name).blocks[block].skip_norm.num_features
    n_in = model_of(RECIPE).blocks[block].convs[0][0].in_channels
    x = torch.randn(1, n_in, 5, 5, generator=torch.Generator().manual_seed(0)).relu_().requires_grad_()
    out = convs(x)
    found = [torch.autograd.grad(channel.sum(), x, retain_graph=True)[0][0].abs().sum((1, 2)) for channel in out[0]]
    below, across = torch.stack(found).split([n_in - n_across, n_across], dim=1)
    return below.sum(1), across.sum(1)


def test_paths_convolved_apart_do_not_meet_in_a_block_and_mixed_halves_do():
    below, across = influence("convolve-apart", 1)
    alive = (below + across) > 0  # a ReLU may be off everywhere
    assert (below[alive] > 0).any() and (across[alive] > 0).any()
    assert ((below > 0) ^ (across > 0))[alive].all()
    below, across = influence("mixed-halves", 1)
    alive = (below + across) > 0
    assert ((below > 0) & (across > 0))[alive].all()


def test_paths_apart_are_the_recipe_with_a_block_diagonal_kernel():
    recipe, apart = model_of(RECIPE).blocks[0].convs[0][0], model_of("convolve-apart").blocks[0].convs[0][0]
    n_in, n_out = apart.first.weight.shape[1], apart.first.weight.shape[0]
    kernel = recipe.weight.detach().clone()
    kernel[:n_out, n_in:] = kernel[n_out:, :n_in] = 0
    x = torch.randn(2, kernel.shape[1], 6, 7, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(apart(x), F.conv2d(x, kernel, recipe.bias, padding=1))


def test_mixed_halves_have_as_many_weights_as_paths_apart():
    apart, mixed, recipe = (variant_facts(name, 12, SIZE) for name in ("convolve-apart", "mixed-halves", RECIPE))
    assert apart["parameters"] == mixed["parameters"] < recipe["parameters"]
    assert apart["multiply_adds"] == mixed["multiply_adds"] < recipe["multiply_adds"]
    assert apart["options"]["change"] == "convolve_apart"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": (31, 64)}, "too small"),
        ({"size": (64.0, 64)}, "whole pixels"),
        ({"epochs": 0, "frozen_epochs": 0}, "no amount of training"),
        ({"epochs": -1}, "no amount of training"),
        ({"batch_size": 1}, "at least 2"),
        ({"lr": (0.0, 1e-3)}, "positive learning rates"),
        ({"lr": (1e-3, math.nan)}, "positive learning rates"),
        ({"weight_decay": -1.0}, "at least 0"),
    ],
)
def test_what_is_no_budget_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Budget(**wrong)


def test_the_learning_rate_of_the_decoder_alone_is_changed():
    assert [stage.lr for stage in Budget(lr=(1.0, 10.0)).stages(0.2)] == [(1.0, 2.0)] * 2


def test_a_run_repeats_reads_no_test_split_and_two_variants_see_the_same_batches(load, monkeypatch):
    budget = Budget(size=SIZE, frozen_epochs=1, epochs=1, batch_size=2)
    read, seen = set(), []

    def watched(split, size):
        read.add(split)
        return load(split, size)

    def run(variant):
        model = build_variant(variant, 12, SIZE, pretrained=False, seed=3)
        first = model.encoder[0]
        seen.append([])
        handle = first.register_forward_hook(lambda _, inputs, __: seen[-1].append(inputs[0].clone()))
        found = train_and_score(model, variant, budget, watched, seed=3)
        handle.remove()
        return found

    once, twice, other = run(VARIANTS[RECIPE]), run(VARIANTS[RECIPE]), run(Variant("", {"skip": "none"}))
    assert once == twice and once != other
    assert set(once) == {"accuracy", "mean_iou", "boundary_error", "train_loss"}
    assert read == {"train", "val"}
    assert len(seen[0]) == len(seen[2]) and all(map(torch.equal, seen[0], seen[2]))


def test_models_take_turns_when_steps_are_timed(monkeypatch):
    turns, clock = [], iter(range(1000))

    class Slow(nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name, self.conv = name, nn.Conv2d(3, 4, 1)

        def forward(self, x):
            turns.append(self.name)
            for _ in range({"a": 1, "b": 4}[self.name]):
                next(clock)
            return self.conv(x)

    monkeypatch.setattr(ablations, "_now", lambda device: next(clock))
    batch = torch.randn(2, 3, 8, 8), torch.zeros(2, 8, 8, dtype=torch.long)
    found = time_steps({"a": Slow("a"), "b": Slow("b")}, batch, void=11, steps=3)
    assert turns == ["a", "b"] * 4
    assert found == {"a": 2, "b": 5}
