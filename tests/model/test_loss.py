import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.model.loss import cross_entropy, dice, weighted_cross_entropy

LOSSES = [weighted_cross_entropy, cross_entropy, dice]
SEEDS = st.integers(0, 2**32 - 1)


def random_batch(seed=0, images=2, classes=3, height=4, width=5):
    random = np.random.default_rng(seed)
    logits = torch.from_numpy(random.normal(0, 3, (images, classes, height, width)).astype(np.float32))
    target = torch.from_numpy(random.integers(0, classes, (images, height, width)))
    weight = torch.from_numpy(random.uniform(0.1, 10, (images, height, width)).astype(np.float32))
    return logits, target, weight


def equation_1(logits, target, weight):
    """The energy of the paper, pixel by pixel, divided by the number of pixels."""
    activation = logits.double().numpy()
    energies = []
    for image, row, column in np.ndindex(*target.shape):
        a = activation[image, :, row, column]
        p = np.exp(a) / np.exp(a).sum()
        energies.append(-weight[image, row, column].item() * np.log(p[target[image, row, column]]))
    return sum(energies) / len(energies)


def logits_of(*class_probabilities):
    """Logits (1, K, h, w) whose soft-max is the given probabilities."""
    return torch.tensor([class_probabilities]).clamp(min=1e-30).log()


def certain(classes, count):
    """Logits of a network that is certain of ``classes`` (N, h, w)."""
    return 100 * torch.nn.functional.one_hot(classes, count).movedim(-1, 1).float()


@given(seed=SEEDS, classes=st.integers(2, 4))
@settings(deadline=None, max_examples=30)
def test_weighted_cross_entropy_is_equation_1(seed, classes):
    batch = random_batch(seed, classes=classes)
    assert weighted_cross_entropy(*batch).item() == pytest.approx(equation_1(*batch), rel=1e-4)


def test_twice_the_weight_is_twice_the_loss():
    logits, target, weight = random_batch()
    doubled = weighted_cross_entropy(logits, target, 2 * weight)
    assert doubled.item() == pytest.approx(2 * weighted_cross_entropy(logits, target, weight).item())


@pytest.mark.parametrize("loss", [weighted_cross_entropy, cross_entropy])
def test_the_mean_of_two_processes_is_the_loss_of_the_whole_batch(loss):
    logits, target, weight = random_batch(images=4)
    weight[:2] *= 100
    halves = [loss(logits[half], target[half], weight[half]) for half in (slice(0, 2), slice(2, 4))]
    assert torch.stack(halves).mean().item() == pytest.approx(loss(logits, target, weight).item())


@pytest.mark.parametrize("loss", [cross_entropy, dice])
def test_cross_entropy_and_dice_ignore_how_large_a_weight_is(loss):
    logits, target, weight = random_batch()
    assert loss(logits, target, weight) == loss(logits, target, torch.ones_like(weight))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_pixel_of_weight_0_is_not_annotated(loss):
    logits, target, weight = random_batch()
    weight[0, 1, 2] = 0
    other_logits, other_target = logits.clone(), target.clone()
    other_logits[0, :, 1, 2] = torch.tensor([9.0, -9.0, 0.0])
    other_target[0, 1, 2] = (target[0, 1, 2] + 1) % 3
    assert loss(other_logits, other_target, weight) == loss(logits, target, weight)
    assert loss(other_logits, other_target, weight + 1) != loss(logits, target, weight + 1)


def test_cross_entropy_without_zeros_is_equation_1_of_weight_1():
    logits, target, weight = random_batch()
    expected = equation_1(logits, target, torch.ones_like(weight))
    assert cross_entropy(logits, target, weight).item() == pytest.approx(expected, rel=1e-5)


def test_dice_of_a_perfect_prediction_is_0():
    target = random_batch(height=16, width=16)[1]
    assert dice(certain(target, 3), target, torch.ones(target.shape)).item() == pytest.approx(0, abs=1e-6)


def test_dice_of_an_all_wrong_prediction_is_nearly_1():
    target = random_batch(height=16, width=16)[1]
    wrong = (target + 1) % 3
    assert 0.99 < dice(certain(wrong, 3), target, torch.ones(target.shape)).item() < 1


def test_dice_of_a_drawing_is_that_computed_by_hand():
    target = torch.tensor([[[0, 1], [1, 1]]])
    logits = logits_of([[0.75, 0.25], [0.5, 0.0]], [[0.25, 0.75], [0.5, 1.0]])
    background = (2 * 0.75 + 1) / ((1.5 + 1) + 1)
    foreground = (2 * (0.75 + 0.5 + 1) + 1) / ((2.5 + 3) + 1)
    expected = 1 - (background + foreground) / 2
    assert dice(logits, target, torch.ones(1, 2, 2)).item() == pytest.approx(expected)


def test_a_class_that_is_nowhere_costs_no_dice():
    target = torch.tensor([[[0, 1], [1, 1]]])
    two = [[0.75, 0.25], [0.5, 0.0]], [[0.25, 0.75], [0.5, 1.0]]
    without, weight = dice(logits_of(*two), target, torch.ones(1, 2, 2)), torch.ones(1, 2, 2)
    extended = dice(logits_of(*two, [[0.0, 0.0], [0.0, 0.0]]), target, weight)
    assert 3 * extended.item() == pytest.approx(2 * without.item())  # the sum over classes, not their mean


def test_dice_pools_the_batch():
    logits, target, weight = random_batch(images=2, classes=2)
    side_by_side = [torch.cat(list(part), dim=-1)[None] for part in (logits, target, weight)]
    assert dice(logits, target, weight).item() == pytest.approx(dice(*side_by_side).item())


@pytest.mark.parametrize("loss", LOSSES)
def test_logits_in_bf16_are_computed_in_fp32(loss):
    logits, target, weight = random_batch()
    half = logits.bfloat16()
    result = loss(half, target, weight)
    assert result.dtype == torch.float32
    assert result == loss(half.float(), target, weight)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_along_the_gradient_lowers_the_loss(loss):
    logits, target, weight = random_batch()
    logits.requires_grad_()
    before = loss(logits, target, weight)
    before.backward()
    assert logits.grad.abs().sum() > 0
    assert loss(logits - 0.1 * logits.grad, target, weight) < before


@pytest.mark.parametrize("loss", LOSSES)
def test_no_gradient_comes_from_a_pixel_of_weight_0(loss):
    logits, target, weight = random_batch()
    weight[1, 0, 0] = 0
    loss(logits.requires_grad_(), target, weight).backward()
    assert not logits.grad[1, :, 0, 0].any()
    assert logits.grad[1, :, 0, 1].any()
