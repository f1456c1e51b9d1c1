"""Sums over processes: those of torchmetrics equal those of one evaluator."""

import numpy as np
import pytest
import torch

from src.instances import Components
from src.metrics.evaluator import Evaluator, Probabilities
from src.metrics.instance import Instances
from src.metrics.pixel import PixelError
from src.metrics.pooled import Pooled
from src.metrics.rand import AfterThinning, RandError
from src.metrics.semantic import Semantic
from src.metrics.warping import WarpingError

METRICS = {"pixel_error": PixelError, "v_rand": AfterThinning, "rand_error": RandError, "warping_error": WarpingError}
METRICS |= {"ap50": Instances, "iou": Semantic}


def image(seed):
    """A prediction, target, cells, and a mask of annotated pixels."""
    random = np.random.default_rng(seed)
    truth = np.kron(random.integers(0, 2, (4, 4)), np.ones((5, 5), int))
    cell = np.clip(truth * 0.6 + 0.2 + random.normal(0, 0.3, truth.shape), 0, 1).astype(np.float32)
    known = np.ones(truth.shape, bool)
    known[seed % 20] = False
    return Probabilities(np.stack([1 - cell, cell]), Components()), truth, truth, known


def evaluator(monitor):
    return Evaluator({"first": METRICS[monitor](), "second": PixelError()}, monitor=monitor)


@pytest.mark.parametrize("monitor", METRICS)
def test_sums_of_two_processes_give_what_one_gives(monitor):
    one, here, there = evaluator(monitor), Pooled(evaluator(monitor)), Pooled(evaluator(monitor))
    for seed, process in ((1, here), (2, there), (3, here)):
        row = one.update(*image(seed))
        process.update(*image(seed))
        assert process.row == pytest.approx(row, nan_ok=True)
    here.merge_state(there)
    scores, threshold = here.compute()
    assert scores == pytest.approx(one.compute(), nan_ok=True)
    assert threshold == one.chosen_threshold()


@pytest.mark.parametrize("monitor", METRICS)
def test_reset_forgets(monitor):
    pooled, fresh = Pooled(evaluator(monitor)), Pooled(evaluator(monitor))
    pooled.update(*image(1))
    before, _ = pooled.compute()
    pooled.reset()
    for each in (pooled, fresh):
        each.update(*image(2))
    assert pooled.compute()[0] == pytest.approx(fresh.compute()[0], nan_ok=True)
    assert pooled.compute()[0] != pytest.approx(before, nan_ok=True)


def test_sums_move_to_a_device_with_the_module_and_are_not_in_its_weights():
    pooled = Pooled(evaluator("v_rand")).to("meta")
    assert all(getattr(pooled, f"sum_{name}").device.type == "meta" for name in pooled.names)
    assert pooled.state_dict() == {} and list(pooled.parameters()) == [] and list(pooled.buffers()) == []


def test_sums_have_types_that_every_device_supports():
    sums = [
        torch.from_numpy(zeros).dtype for zeros in Evaluator({n: m() for n, m in METRICS.items()}, 0.5).sums.values()
    ]
    assert set(sums) == {torch.int64, torch.float32}  # Apple's GPUs have no float64
