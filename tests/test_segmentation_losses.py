"""Class weights against counting, and the Lovász extension against its definition and against IoU itself."""

import itertools

import pytest
import torch

from course_utils.camvid import CachedSplit
from course_utils.metrics import confusion_matrix, mean_iou
from course_utils.segmentation_losses import LovaszCrossEntropy, class_weights, lovasz_softmax

VOID = 3


def case(n=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, 4, 2, 3, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 4, (n, 2, 3), generator=generator)


def jaccard_lost(wrong, truth):
    """One minus IoU when the set `wrong` of pixels is misjudged, and the set `truth` is the class."""
    predicted = truth ^ wrong
    return 1 - len(truth & predicted) / len(truth | predicted)


def extension_by_definition(logits, target):
    """Berman et al., equation 8: sum of error times the growth of the set function, largest error first."""
    probabilities, target = logits.softmax(0).flatten(1), target.flatten()
    pixels = [i for i, code in enumerate(target.tolist()) if code != VOID]
    losses = []
    for code in {target[i].item() for i in pixels}:
        truth = {i for i in pixels if target[i] == code}
        errors = {i: abs((i in truth) - probabilities[code, i].item()) for i in pixels}
        order = sorted(pixels, key=lambda i, errors=errors: -errors[i])
        sets = [set(order[:k]) for k in range(len(order) + 1)]
        grown = [jaccard_lost(b, truth) - jaccard_lost(a, truth) for a, b in itertools.pairwise(sets)]
        losses.append(sum(errors[i] * growth for i, growth in zip(order, grown, strict=True)))
    return sum(losses) / len(losses) if losses else 0.0


@pytest.mark.parametrize("seed", range(5))
def test_the_extension_is_what_its_definition_says(seed):
    logits, target = case(seed=seed)
    expected = [extension_by_definition(*pair) for pair in zip(logits, target, strict=True)]
    assert lovasz_softmax(logits, target, VOID).tolist() == pytest.approx(expected, abs=1e-6)


def test_where_the_network_is_certain_it_is_one_minus_mean_iou():
    _, target = case()
    guess = torch.randint(0, 3, target.shape, generator=torch.Generator().manual_seed(9))
    certain = torch.nn.functional.one_hot(guess, 4).movedim(-1, 1) * 1e3
    found = lovasz_softmax(certain, target, VOID)
    for i in range(len(target)):
        iou = mean_iou(confusion_matrix(guess[i : i + 1], target[i : i + 1], 4, VOID))
        assert found[i].item() == pytest.approx(1 - iou, abs=1e-6)


def test_void_has_no_part_in_it_and_a_void_picture_costs_nothing():
    logits, target = case()
    changed = logits + 7 * torch.randn_like(logits) * (target == VOID).unsqueeze(1)
    torch.testing.assert_close(lovasz_softmax(changed, target, VOID), lovasz_softmax(logits, target, VOID))
    assert lovasz_softmax(logits, torch.full_like(target, VOID), VOID).tolist() == [0] * 4


def pictures(seed, n=3, side=40):
    """Patches of classes, and logits that know something of them; codes from 0, void among them."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, 4, (n, side // 8, side // 8), generator=generator)
    target = target.repeat_interleave(8, 1).repeat_interleave(8, 2)
    known = 2 * torch.nn.functional.one_hot(target, 4).movedim(-1, 1)
    return known + torch.randn(n, 4, side, side, generator=generator), target


@pytest.mark.parametrize("levels", [1, 7, 64, 1024])
@pytest.mark.parametrize("seed", range(3))
def test_counting_differs_from_sorting_by_less_than_a_level(levels, seed):
    logits, target = pictures(seed)
    exact, counted = (lovasz_softmax(logits, target, VOID, levels=n) for n in (None, levels))
    assert 0 < (counted - exact).abs().max() < 1 / levels


def test_on_pictures_counting_pulls_at_each_class_as_sorting_does():
    """Own pixels of a class and others in one level weigh differently: a rare class would learn too slowly else."""
    logits, target = pictures(0, side=120)
    target[:, 16:24, 16:24] = 2
    target[(target == 2) & (torch.arange(120) > 24)] = 0
    found = []
    for levels in (None, 1024):
        logits = (3 * logits.detach() if not found else logits.detach()).requires_grad_()
        lovasz_softmax(logits, target, VOID, levels).sum().backward()
        found.append(logits.grad)
    exact, counted = found
    assert (counted - exact).norm() < 0.02 * exact.norm()
    for code in range(3):
        torch.testing.assert_close(*(x[:, code][target == code].sum() for x in (counted, exact)), rtol=0.01, atol=0)


def test_with_fine_levels_counting_weighs_every_pixel_as_sorting_does():
    logits, target = case()
    found = []
    for levels in (None, 10**4):
        logits.grad = None
        logits.requires_grad_()
        lovasz_softmax(logits, target, VOID, levels).sum().backward()
        found.append(logits.grad)
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)


def test_counting_gives_void_no_part_and_a_void_picture_costs_nothing():
    logits, target = pictures(0)
    changed = logits + 7 * torch.randn_like(logits) * (target == VOID).unsqueeze(1)
    torch.testing.assert_close(*(lovasz_softmax(x, target, VOID, levels=64) for x in (changed, logits)))
    assert lovasz_softmax(logits, torch.full_like(target, VOID), VOID, levels=64).tolist() == [0] * 3


def test_certain_and_broken_logits_are_counted_too():
    logits, target = pictures(0)
    certain = 1e3 * logits.sign()
    torch.testing.assert_close(*(lovasz_softmax(certain, target, VOID, levels) for levels in (None, 1024)))
    logits[0, 0, 0, 0] = float("nan")
    assert lovasz_softmax(logits, target, VOID, levels=64).isnan().tolist() == [True, False, False]


@pytest.mark.parametrize("levels", [0, -3, 2.5, True, 2**31])
def test_levels_that_cannot_be_are_refused(levels):
    with pytest.raises(ValueError, match=f"levels={levels!r} is (not a whole number|more than 65536)"):
        lovasz_softmax(*case(), VOID, levels)


def test_its_gradient_leads_to_a_perfect_picture():
    logits, target = case(n=1)
    logits.requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(100):
        optimizer.zero_grad()
        lovasz_softmax(logits, target, VOID).sum().backward()
        optimizer.step()
    labelled = target != VOID
    assert torch.equal(logits.argmax(1)[labelled], target[labelled])


def test_a_batch_follows_from_its_shares():
    logits, target = case()
    target[3] = VOID
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
    loss_fn = LovaszCrossEntropy(0.7, weights, VOID)
    share = [(weights[target[i][target[i] != VOID]]).sum().item() for i in range(3)]
    alone = [loss_fn(logits[i : i + 1], target[i : i + 1]).item() for i in range(3)]
    expected = sum(s * a for s, a in zip(share, alone, strict=True)) / sum(share)
    assert loss_fn(logits, target).item() == pytest.approx(expected)
    plain = torch.nn.CrossEntropyLoss(weights, ignore_index=VOID)
    assert LovaszCrossEntropy(0, weights, VOID)(logits, target) == plain(logits, target)


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 1, 2, 0])])
def test_a_share_that_is_void_throughout_pulls_at_nothing(weight):
    """One process of several may have such a share, and its gradient is added to those of the others."""
    logits, target = case()
    logits.requires_grad_()
    loss = LovaszCrossEntropy(0.5, weight, ignore_index=VOID)(logits.float(), torch.full_like(target, VOID))
    torch.where(torch.tensor(True), 0, loss).backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_class_weights_are_counted():
    masks = torch.tensor([0] * 8 + [1] * 2 + [3] * 5, dtype=torch.uint8).view(1, 3, 5)
    split = CachedSplit(masks.unsqueeze(1), masks, ["a"], ("a", "b", "c", "Void"), VOID)
    # 8 and 2 of 10 pixels: the weights are as 8^-½ to 2^-½, which is 1 to 2, and 8·w + 2·2w = 10.
    torch.testing.assert_close(class_weights(split, 0.5), torch.tensor([10 / 12, 20 / 12, 0, 0]))
    torch.testing.assert_close(class_weights(split, 1), torch.tensor([10 / 16, 10 / 4, 0, 0]))
    torch.testing.assert_close(class_weights(split, 0), torch.tensor([1.0, 1.0, 0, 0]))


def test_bad_options():
    with pytest.raises(ValueError, match="power=2 is not from 0"):
        class_weights(None, 2)
    void = torch.full((1, 3, 5), VOID)
    with pytest.raises(ValueError, match="no pixel of the training pictures has a class"):
        class_weights(CachedSplit(void.unsqueeze(1), void, ["a"], ("a", "b", "c", "Void"), VOID))
    with pytest.raises(ValueError, match="lovasz=-1 is not a number of at least 0"):
        LovaszCrossEntropy(-1)


@pytest.mark.parametrize(
    ("logits", "target", "options", "message"),
    [
        ((1, 20, 8, 8), torch.full((1, 8, 8), 11), {}, "20 classes are more than CamVid's 12"),
        ((1, 2, 8, 8), torch.full((1, 8, 8), 7), {}, "the code 7, which is neither one of 2 classes nor"),
        ((1, 2, 8, 8), torch.full((1, 8, 8), -1), {"ignore_index": 255}, "the code -1, .* ignore_index=255"),
        ((1, 2, 8, 8), torch.zeros(1, 1, 8, 8).long(), {}, r"target \(1, 1, 8, 8\) are not"),
        ((1, 1, 8, 8), torch.zeros(1, 8, 8).long(), {}, "C at least 2"),
        ((1, 2, 8, 8), torch.full((1, 8, 8), 0.7), {}, "target is torch.float32 of shape"),
        ((1, 2, 8, 8), None, {}, "target is an object of type NoneType"),
        ((1, 2, 8, 8), torch.zeros(1, 8, 8).long(), {"ignore_index": 1.5}, "ignore_index=1.5 is not a whole number"),
    ],
)
def test_masks_that_no_class_explains_are_refused(logits, target, options, message):
    for loss in (
        lovasz_softmax,
        lambda x, y, **options: LovaszCrossEntropy(**options)(x, y),
        lambda x, y, **options: LovaszCrossEntropy(weight=torch.ones(logits[1]), **options)(x, y),
    ):
        with pytest.raises(ValueError, match=message):
            loss(torch.zeros(logits), target, **options)


def test_a_code_to_leave_out_that_bytes_cannot_hold_leaves_out_none():
    logits, target = torch.randn(1, 200, 4, 4), torch.full((1, 4, 4), 156, dtype=torch.uint8)  # 156 is -100 mod 256
    found = lovasz_softmax(logits, target, -100)
    assert found > 0.5 and torch.equal(found, lovasz_softmax(logits, target.long(), -100))
    assert torch.equal(found, lovasz_softmax(logits, target.to(torch.uint16), -100))


def test_masks_of_bytes_are_taken():
    logits, target = torch.randn(2, 4, 6, 6), torch.randint(0, 4, (2, 6, 6))
    assert torch.equal(LovaszCrossEntropy()(logits, target.byte()), LovaszCrossEntropy()(logits, target))


def test_a_strength_is_a_number():
    with pytest.raises(ValueError, match="lovasz='x' is not a number"):
        LovaszCrossEntropy("x")
    split = CachedSplit(torch.zeros(1, 3, 2, 2).byte(), torch.zeros(1, 2, 2).byte(), ["a"], ("Sky", "Void"), 1)
    with pytest.raises(ValueError, match="power='x' is not from 0"):
        class_weights(split, "x")
