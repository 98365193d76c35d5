"""The tasks against their own truth: a perfect network scores without error, and baselines are what they say."""

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.metrics import psnr
from course_utils.restoration import LowerResolution, Sketch
from course_utils.restoration_tasks import (
    TASKS,
    baselines,
    bicubic,
    detail,
    finish,
    hole_masks,
    photograph_patches,
    train_restorer,
    wanted,
    with_colours,
    without_colour,
)

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
    masks = hole_masks(PICTURES, 4)
    filled = baselines("holes", inputs, PICTURES, 4)["biharmonic"]
    outside = ~masks.expand_as(filled)
    torch.testing.assert_close(filled[outside], PICTURES[outside])
    assert psnr(filled, PICTURES) > psnr(inputs, PICTURES)


def test_detail_is_one_of_the_original_and_less_of_a_blurred_one():
    assert detail(PICTURES, PICTURES) == pytest.approx(1)
    assert detail(LowerResolution(3)(PICTURES), PICTURES) < 0.7


def test_training_on_few_patches_lowers_the_error_on_them():
    pool = photograph_patches("train", 40)
    task = TASKS["text"]
    model = train_restorer(task, pool, epochs=2, progress=False)
    originals = pool[:8] / 255
    inputs = task.damage(originals, 3)
    assert psnr(finish(task, model, inputs), originals) > psnr(inputs, originals)


def test_finishing_leaves_every_module_in_its_mode():
    model = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Identity())
    model[1].eval()
    finish(TASKS["jpeg"], model, PICTURES)
    assert [module.training for module in model] == [True, False]
