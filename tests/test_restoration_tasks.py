"""The tasks against their own truth: a perfect network scores without error, and baselines are what they say."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from course_utils.experiments.oklab import rgb_to_oklab
from course_utils.experiments.photographs import PHOTOGRAPHS, patches
from course_utils.experiments.restoration_tasks import (
    SHORT_SIDES,
    TASKS,
    Task,
    baselines,
    bicubic,
    detail,
    finish,
    hole_masks,
    mean_colour,
    one_colour,
    pencil,
    photograph_patches,
    train_restorer,
    wanted,
    with_colours,
    without_colour,
)
from course_utils.metrics import psnr
from course_utils.restoration import LowerResolution, Sketch
from course_utils.restorer import make_restorer

PICTURES = photograph_patches("val", 3) / 255


@pytest.mark.parametrize("name", TASKS)
def test_a_perfect_network_gives_what_is_wanted(name):
    task = TASKS[name]
    inputs = task.damage(PICTURES, 5)

    class Perfect(torch.nn.Module):
        def forward(self, x):
            return PICTURES if task.target is None else task.target(PICTURES)

    made = finish(task, Perfect(), inputs)
    torch.testing.assert_close(made, wanted(task, PICTURES).clamp(0, 1))
    assert inputs.shape == made.shape == PICTURES.shape


def test_colours_taken_away_and_given_back_are_the_picture():
    grey = without_colour(PICTURES)
    assert (grey - grey.mean(1, keepdim=True)).abs().max() < 5e-3
    torch.testing.assert_close(with_colours(grey, TASKS["colour"].target(PICTURES)), PICTURES, atol=2e-3, rtol=0)


def test_one_colour_is_the_mean_of_other_pictures_and_keeps_the_brightness():
    others = photograph_patches("train", 3) / 255
    made = one_colour(without_colour(PICTURES), others)
    mid = (rgb_to_oklab(made)[:, 0] - 0.5).abs() < 0.15  # no channel is cut off there
    a_and_b = rgb_to_oklab(made)[:, 1:].permute(1, 0, 2, 3)[:, mid]
    expected = rgb_to_oklab(others)[:, 1:].mean((0, 2, 3))
    torch.testing.assert_close(a_and_b, expected[:, None].expand_as(a_and_b), atol=2e-3, rtol=0)
    torch.testing.assert_close(rgb_to_oklab(made)[:, 0][mid], rgb_to_oklab(PICTURES)[:, 0][mid], atol=2e-3, rtol=0)


def test_the_mean_colour_is_the_paintings():
    painting = 0.4 + 0.2 * torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(1))
    made = mean_colour(0.3 + 0.2 * PICTURES, painting)
    torch.testing.assert_close(made.mean((0, 2, 3)), painting.mean((1, 2)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: one_colour(PICTURES, PICTURES[:0]), "no picture has no mean colour"),
        (lambda: one_colour(PICTURES, 255 * PICTURES), "not from 0"),
        (lambda: one_colour(PICTURES[0], PICTURES), "not floats"),
        (lambda: mean_colour(PICTURES, 255 * PICTURES[0]), "not from 0"),
        (lambda: mean_colour(PICTURES, PICTURES), "the painting is torch.float32 of shape"),
        (lambda: mean_colour(PICTURES, PICTURES[0, :, :0]), "hold no pixels"),
        (lambda: mean_colour(PICTURES[:, :1], PICTURES[0]), "not floats"),
    ],
)
def test_baselines_of_colour_refuse_what_is_no_picture(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_sketch_wanted_is_the_sketch():
    torch.testing.assert_close(wanted(TASKS["sketch"], PICTURES), Sketch()(PICTURES))


def test_bicubic_agrees_with_pillow():
    grey = PICTURES[:1].mean(1)
    small = Image.fromarray(grey[0].numpy(), "F").resize((48, 48), Image.Resampling.BILINEAR)
    large = torch.nn.functional.interpolate(bicubic(PICTURES[:1]).mean(1, keepdim=True), (48, 48), mode="area")
    assert psnr(large, torch.from_numpy(np.array(small))[None, None]) > 30


def test_bicubic_of_super_resolution_beats_the_bilinear_input():
    inputs = LowerResolution(2)(PICTURES)
    made = baselines("super-resolution", inputs, PICTURES, 0)
    assert psnr(made["bicubic"], PICTURES) > psnr(made["nothing"], PICTURES)


def test_the_baseline_of_holes_changes_nothing_outside():
    inputs = TASKS["holes"].damage(PICTURES, 4)
    masks = hole_masks(PICTURES, 4).expand_as(PICTURES)
    made = baselines("holes", inputs, PICTURES, 4)
    assert (made["nothing"][masks] == 0.5).all() and torch.equal(made["smooth"], inputs)
    for filled in made.values():
        torch.testing.assert_close(filled[~masks], PICTURES[~masks])
    assert min(psnr(made[kind], PICTURES) for kind in ("smooth", "biharmonic")) > psnr(made["nothing"], PICTURES) + 3


def test_detail_is_one_of_the_original_and_less_of_a_blurred_one():
    assert detail(PICTURES, PICTURES) == pytest.approx(1)
    assert detail(LowerResolution(3)(PICTURES), PICTURES) < 0.7


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_every_part_of_the_patches_holds_all_scales(n):
    pool = photograph_patches("train", n, seed=5)
    assert len(pool) == n
    for start, side in enumerate(SHORT_SIDES):
        mine = pool[start :: len(SHORT_SIDES)]
        if len(mine):
            wanted = patches(PHOTOGRAPHS["train"], 96, len(mine), short_side=side, seed=5 + side)
            assert torch.equal(mine, wanted)


def test_training_on_few_patches_lowers_the_error_on_them():
    pool = photograph_patches("train", 40)
    task = TASKS["super-resolution"]
    model = train_restorer(task, pool, epochs=2, progress=False)
    originals = pool / 255
    inputs = task.damage(originals, 3)
    assert psnr(finish(task, model, inputs), originals) > psnr(inputs, originals)


@pytest.mark.parametrize(("name", "loss_fn"), [("jpeg", F.mse_loss), ("colour", F.l1_loss)])
def test_a_task_brings_its_loss_and_a_caller_may_bring_another(name, loss_fn):
    pool, other = photograph_patches("train", 8), torch.nn.SmoothL1Loss()
    runs = [
        train_restorer(TASKS[name], pool, progress=False, **options).state_dict()
        for options in ({}, {"loss_fn": loss_fn}, {"loss_fn": other})
    ]
    first, same, different = [torch.cat([value.flatten() for value in run.values()]) for run in runs]
    assert torch.equal(first, same)
    assert not torch.equal(first, different)


@pytest.mark.parametrize(
    ("task", "n_out", "message"),
    [
        (TASKS["sketch"], 3, "the model gives 3 channels, and the task's target has 1"),
        (TASKS["jpeg"], 1, "the model gives 1 channels, and the task's target has 3"),
        (Task(target=pencil), None, "the model gives 3 channels, and the task's target has 1"),
    ],
)
def test_a_model_that_does_not_fit_the_target_is_refused_before_training(task, n_out, message):
    model = n_out and make_restorer(n_out=n_out, residual=False, pretrained=False)
    with pytest.raises(ValueError, match=message):
        train_restorer(task, (PICTURES * 255).byte(), batch_size=1, model=model, progress=False)
    assert model is None or not model.unet.encoder[1].num_batches_tracked


@pytest.mark.parametrize(
    ("task", "model", "inputs", "message"),
    [
        ("sketch", nn.Identity(), PICTURES, "gives 3 channels, and the task makes a picture of 1"),
        ("jpeg", nn.Conv2d(3, 1, 1), PICTURES, "gives 1 channels, and the task makes a picture of 3"),
        ("jpeg", nn.Identity(), 255 * PICTURES, "not from 0"),
        ("jpeg", nn.Identity(), PICTURES * torch.nan, "nan"),
        ("jpeg", nn.Identity(), PICTURES[0], "not floats"),
    ],
)
def test_what_cannot_be_finished_is_refused(task, model, inputs, message):
    with pytest.raises(ValueError, match=message):
        finish(TASKS[task], model, inputs)


@pytest.mark.parametrize("name", TASKS)
def test_baselines_of_half_precision_and_of_no_picture(name):
    half = PICTURES.bfloat16()
    whole = baselines(name, PICTURES, PICTURES, 0)
    for kind, found in baselines(name, half, half, 0).items():
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.float(), whole[kind], atol=0.1, rtol=0)
    none = PICTURES[:0]
    assert all(found.shape == none.shape for found in baselines(name, none, none, 0).values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: detail(PICTURES, torch.full_like(PICTURES, 0.3)), "the originals are flat"),
        (lambda: detail(PICTURES[..., :2, :2], PICTURES[..., :2, :2]), r"\(3, 3, 2, 2\) have no detail"),
        (lambda: photograph_patches("x", 3), "split='x' is not one of 'train', 'val', 'test'"),
        (lambda: photograph_patches("train", 0), "n=0 is not a whole number of at least 1"),
        (lambda: photograph_patches("train", 2.5), "n=2.5"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_finishing_leaves_every_module_in_its_mode():
    model = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Identity())
    model[1].eval()
    finish(TASKS["jpeg"], model, PICTURES)
    assert [module.training for module in model] == [True, False]
