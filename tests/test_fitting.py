"""The tile follows from the image sizes, the score from the split, the width of the network from the memory."""

from itertools import product

import pytest
import torch

from src.fitting import Step, covering_tile, fitted, fitting_tile, narrowed, taken, typical_side
from src.memory import Room
from src.model.unet import UNet
from tests.conftest import composed

NETWORKS = [*product((1, 2, 3, 4, 5, 6), (False, True))]
FOUND = {
    "slices": 10,
    "sizes": [[96, 96]],
    "dtypes": ["uint8"],
    "split": {"train": ["a"], "validation": ["b"], "held_out": ["c"]},
}
PLENTY = Room(2**40, "machine")


def network(depth: int, padded: bool) -> UNet:
    with torch.device("meta"):
        return UNet(base_channels=1, depth=depth, padded=padded)


@pytest.mark.parametrize(("depth", "padded"), NETWORKS)
def test_a_tile_covers_the_slices_and_no_smaller_one_does(depth, padded):
    learnt_from, fewest = network(depth, padded).output_side, 2 * 2**depth * padded
    for length in (1, 10, 64, 96, 97, 173, 256, 1000):
        tile = covering_tile(length, depth, padded)
        assert learnt_from(tile) >= length
        smaller = [side for side in range(1, tile) if (side % 2**depth == 0 if padded else is_valid(side, depth))]
        assert all(learnt_from(side) < max(length, fewest) for side in smaller)


@pytest.mark.parametrize(("depth", "padded"), NETWORKS)
def test_the_usual_tile_stays_unless_it_does_not_fit_or_a_smaller_one_is_much_cheaper(depth, padded):
    for length in (10, 96, 256, 5000):
        tile = fitting_tile(length, 444, depth, padded)
        network(depth, padded).output_side(tile)  # or it is refused
        fits = 444 % 2**depth == 0 if padded else is_valid(444, depth)
        assert not fits or tile == 444 or tile**2 <= 0.8 * 444**2


def is_valid(side: int, depth: int) -> bool:
    """Whether each pooling of a valid network sees an even side, level by level."""
    for _ in range(depth):
        side -= 4
        if side <= 0 or side % 2:
            return False
        side //= 2
    side -= 4
    for _ in range(depth):
        side = 2 * side - 4
    return side > 0


@pytest.mark.parametrize(("depth", "padded"), [(depth, padded) for depth, padded in NETWORKS if depth <= 4])
def test_the_smallest_tile_is_learnt_from(depth, padded):
    network = UNet(base_channels=1, depth=depth, padded=padded, norm="batch").train()
    tile = covering_tile(1, depth, padded)
    assert network(torch.rand((1, 1, tile, tile))).isfinite().all()


@pytest.mark.parametrize(
    ("sizes", "side"), [([[96, 96]], 96), ([[10, 3000]], 174), ([[100, 100], [400, 400]], 200), ([[1, 1]], 1)]
)
def test_the_typical_slice_lies_between_the_smallest_and_the_largest(sizes, side):
    assert typical_side(sizes) == side


def cells(*overrides: str) -> dict:
    return composed("experiment=cells", "data.root=somewhere", *overrides)


def test_small_slices_get_a_small_tile_and_large_ones_the_usual_one():
    assert fitted(cells(), FOUND, (), PLENTY)[0] == {"data.tile": 284}
    assert fitted(cells(), FOUND | {"sizes": [[1024, 1024]]}, (), PLENTY)[0] == {}
    assert fitted(cells("model.padded=true", "data.tile=448"), FOUND, (), PLENTY)[0] == {"data.tile": 96}
    assert fitted(cells("model.padded=true"), FOUND | {"sizes": [[1024, 1024]]}, (), PLENTY)[0] == {"data.tile": 448}
    assert fitted(cells("model.depth=6"), FOUND, (), PLENTY)[0] == {"data.tile": 892}
    added, line = fitted(cells(), FOUND, (), None)
    assert added == {"data.tile": 284} and line == "memory: about 0.8 GiB to train (batch 1, tile 284, 32 channels)"


def test_values_of_the_user_stay_or_are_refused():
    assert fitted(cells("data.tile=300"), FOUND, {"data.tile"}, PLENTY)[0] == {}
    with pytest.raises(ValueError, match="nearest valid: 444 and 460"):
        fitted(cells("data.tile=445"), FOUND, {"data.tile"}, PLENTY)
    alone = FOUND | {"split": FOUND["split"] | {"validation": []}}
    assert fitted(cells(), alone, (), PLENTY)[0] == {"data.tile": 284, "score": "last"}
    assert fitted(cells("score=last"), alone, {"score"}, PLENTY)[0] == {"data.tile": 284}
    with pytest.raises(ValueError, match="nearest valid: score=last"):
        fitted(cells("score=best"), alone, {"score"}, PLENTY)


@pytest.mark.parametrize(
    ("chosen", "expected", "gib"),
    [
        ((), ["data.batch_size", "model.base_channels"], 1.1),
        (("data.batch_size",), ["model.base_channels"], 1.0),
        (("data.batch_size", "model.base_channels"), ["data.tile"], 2.2),
    ],
)
def test_what_does_not_fit_is_made_smaller_with_the_reason(chosen, expected, gib):
    config = cells("model.base_channels=64", "data.batch_size=4")
    found, room = FOUND | {"sizes": [[400, 400]]}, Room(int(gib * 2**30), "machine")
    added, line = fitted(config, found, chosen, room)
    assert sorted(added) == expected
    step = Step(added.get("data.tile", 444), added.get("data.batch_size", 4), added.get("model.base_channels", 64))
    first, model = Step(444, 4, 64), config["model"]
    assert taken(step, model, found, room) <= room.size < taken(first, model, found, room)
    assert f"({step}), because batch 4, tile 444, 64 channels would take" in line
    assert line.endswith(f"; this machine has {gib} GiB for it")


def test_what_cannot_fit_is_reported_too():
    added, line = fitted(cells(), FOUND, (), Room(2**20, "GPU"))
    assert added["model.base_channels"] == 8 and line.endswith("this GPU has 0.0 GiB for it")
    assert fitted(cells(), FOUND, {"data.tile", "model.base_channels"}, Room(2**20, "GPU"))[0] == {}


def test_a_gpu_holds_no_data_but_tiles_of_them():
    many, step, model = FOUND | {"slices": 10**7}, Step(444, 1, 32), cells()["model"]
    on_gpu, on_cpu = (taken(step, model, many, Room(2**34, place)) for place in ("GPU", "machine"))
    assert on_gpu < 2**31 < 2**38 < on_cpu == taken(step, model, many, None)
    assert fitted(cells("data.tile=444"), many, {"data.tile"}, Room(2**34, "GPU"))[0] == {}


def test_each_step_to_a_smaller_one_takes_less_until_there_is_none():
    for depth, padded in NETWORKS[2:]:
        model = cells()["model"] | {"depth": depth, "padded": padded}
        step, sizes = Step(covering_tile(300, depth, padded), 4, 64), []
        while step:
            network(depth, padded).output_side(step.tile)
            sizes.append(taken(step, model, FOUND, PLENTY))
            step = narrowed(step, model, ())
        assert sizes == sorted(sizes, reverse=True) and len(sizes) > 4
