"""The stream of tiles: reproducible, the same for any number of workers, without repetition."""

import hashlib

import albumentations as A
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from src.data.augment import Warp
from src.data.patches import Draws, Patches, image_tensor

# The tests need four workers, however few cores there are; newer Pythons warn of any fork beside threads.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]


def paper(tile=16):
    """The augmentation of the paper: a warp, then grey values."""
    return A.Compose([Warp(tile), A.RandomBrightnessContrast(p=0.5), A.RandomGamma(p=0.5)])


def patches(seed=0, context=2, augment=None, slices=3):
    rng = np.random.default_rng(0)
    images = rng.random((slices, 40, 44), np.float32)
    return Patches(images, (images > 0.5).astype(np.uint8), 1 + images, augment or paper(), context, seed)


def loader(length, workers, start=0, **arguments):
    return DataLoader(patches(**arguments), batch_size=8, sampler=Draws(length, start), num_workers=workers)


def prints(batches):
    """A hash of each image."""
    return [hashlib.sha256(image.numpy().tobytes()).digest() for batch in batches for image in batch["image"]]


def same(one, other):
    return all(torch.equal(one[key], other[key]) for key in ("image", "target", "weight"))


def test_a_draw_depends_on_seed_and_number_alone():
    first, second = patches(), patches()
    forwards = [first[i] for i in range(6)]
    backwards = [second[i] for i in reversed(range(6))][::-1]
    assert all(same(one, other) for one, other in zip(forwards, backwards, strict=True))
    assert same(first[3], forwards[3])


def test_another_seed_is_another_stream():
    one, other = (set(prints(loader(20, 0, seed=seed))) for seed in (0, 1))
    assert len(one) == len(other) == 20
    assert not one & other


def test_the_stream_is_the_same_for_0_1_and_4_workers():
    alone, *others = [list(loader(40, workers)) for workers in (0, 1, 4)]
    assert len(alone) == 5
    for other in others:
        assert all(same(one, another) for one, another in zip(alone, other, strict=True))


def test_a_thousand_draws_of_four_workers_in_three_epochs_are_distinct():
    found = [image for epoch in range(3) for image in prints(loader(334 * (epoch + 1), 4, start=334 * epoch))]
    assert len(found) == 1002
    assert len(set(found)) == 1002


def test_a_stream_that_continues_is_the_rest_of_the_whole():
    assert prints(loader(40, 0))[24:] == prints(loader(40, 0, start=24))


def test_every_slice_is_chosen_equally_often():
    levels = np.linspace(0.1, 0.9, 5)
    images = np.broadcast_to(levels[:, None, None], (5, 20, 20)).astype(np.float32)
    shift = A.Compose([Warp(4, rotation=0, mirror=False, elastic=0)])
    stream = Patches(images, np.zeros(images.shape, np.uint8), images, shift, 0, 0)
    chosen = [int(np.abs(levels - float(stream[i]["image"].mean())).argmin()) for i in range(500)]
    assert np.bincount(chosen, minlength=5).min() > 60  # 100 expected, standard deviation 9


def centres(foreground, count=300):
    """The class at the centre of each tile, for three slices of which one has nine pixels of class 2."""
    targets = np.zeros((3, 41, 41), np.uint8)
    targets[:2, :8] = 1
    targets[2, 30:33, 20:23] = 2
    images = np.random.default_rng(0).random(targets.shape, np.float32)
    still = A.Compose([Warp(5, rotation=0, mirror=False, elastic=0)])
    stream = Patches(images, targets, images, still, 0, 0, foreground)
    return np.array([stream[draw]["target"][2, 2].item() for draw in range(count)])


def test_tiles_lie_anywhere_unless_foreground_is_asked_for():
    assert np.bincount(centres(0), minlength=3)[2] <= 2  # 9 of 5043 pixels
    found = np.bincount(centres(1), minlength=3)
    assert found[0] == 0 and 100 < found[2] < 200
    assert 60 < np.bincount(centres(0.5), minlength=3)[2] < 110


def test_where_there_is_no_foreground_tiles_lie_anywhere():
    images = np.random.default_rng(0).random((1, 20, 20), np.float32)
    stream = Patches(images, np.zeros(images.shape, np.uint8), images, paper(), 2, 0, 1.0)
    assert stream[0]["target"].max() == 0


def test_more_than_all_tiles_cannot_be_foreground():
    with pytest.raises(ValueError, match=r"data.foreground in \[0, 1\], but got 2"):
        Patches(np.zeros((1, 9, 9)), np.zeros((1, 9, 9), np.uint8), np.ones((1, 9, 9)), paper(), 2, 0, 2)


def test_what_nobody_annotated_has_no_weight_and_class_0():
    targets = np.ones((1, 20, 20), np.uint8)
    known = np.zeros(targets.shape, bool)
    known[0, :, :10] = True
    stream = Patches(np.zeros(targets.shape, np.float32), targets, np.ones(targets.shape), paper(), 2, 0, known=known)
    seen = set()
    for draw in range(9):
        tile = stream[draw]
        assert set(tile["target"].unique().tolist()) <= {0, 1}
        np.testing.assert_array_equal(tile["weight"] > 0, tile["target"] == 1)
        seen |= set(tile["target"].unique().tolist())
    assert seen == {0, 1}


def test_the_share_of_a_class_counts_weights_and_only_what_is_known():
    targets, known = np.array([[[0, 1, 0]], [[1, 1, 0]]], np.uint8), np.array([[[1, 1, 0]], [[1, 1, 1]]], bool)
    weights = np.array([[[3.0, 1, 9]], [[1, 1, 4]]], np.float32)
    stream = Patches(np.zeros(targets.shape, np.float32), targets, weights, paper(), 0, 0, known=known)
    np.testing.assert_allclose(stream.class_shares(3), [0.7, 0.3, 0])


def test_image_target_and_weight_come_from_one_slice():
    levels = np.arange(5)
    images = np.broadcast_to(levels[:, None, None] / 5, (5, 20, 20)).astype(np.float32)
    stream = Patches(images, np.round(images * 5).astype(np.uint8), 1 + images, A.Compose([Warp(8)]), 1, 0)
    for i in range(20):
        draw = stream[i]
        number = int(draw["target"][0, 0])
        assert (draw["target"] == number).all()
        np.testing.assert_allclose(draw["image"], number / 5, atol=1e-5)
        np.testing.assert_allclose(draw["weight"], 1 + number / 5, atol=1e-5)


@pytest.mark.parametrize("context", [1, 3, 7])
def test_target_and_weight_are_the_centre_of_the_tile(context):
    for i in range(3):
        whole, inner = patches(context=0)[i], patches(context=context)[i]
        assert torch.equal(inner["image"], whole["image"])
        for key in ("target", "weight"):
            assert torch.equal(inner[key], whole[key][context:-context, context:-context])


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_shapes_and_dtypes(channels):
    images = np.random.default_rng(0).random((2, 40, 44, *channels), np.float32)
    targets = np.zeros((2, 40, 44), np.uint8)
    draw = Patches(images, targets, images[..., 0] if channels else images, paper(), 3, 0)[0]
    assert draw["image"].shape == (*(channels or (1,)), 16, 16)
    assert draw["target"].shape == draw["weight"].shape == (10, 10)
    assert [draw[key].dtype for key in ("image", "target", "weight")] == [torch.float32, torch.int64, torch.float32]


def test_image_tensor_moves_channels_to_the_front():
    image = np.random.default_rng(0).random((4, 5, 3))
    assert torch.equal(image_tensor(image)[1], torch.from_numpy(image[..., 1]).float())
    assert image_tensor(image[..., 0]).shape == (1, 4, 5)


class Tell(A.ImageOnlyTransform):
    """A transform that changes nothing and records the first numbers of its two random streams."""

    def __init__(self, p=1.0):
        super().__init__(p=p)
        self.told = []

    def get_params(self):
        self.told.append((self.random_generator.random(), self.py_random.random()))
        return {}

    def apply(self, img, **params):
        return img


def test_transforms_of_a_pipeline_have_random_streams_of_their_own():
    transforms = [Tell(), Tell(), Tell()]
    stream = patches(augment=A.Compose([Warp(16), *transforms]))
    for i in range(60):
        stream[i]
    told = np.array([transform.told for transform in transforms])  # (transform, draw, stream)
    assert len(np.unique(told)) == told.size
    correlations = np.corrcoef(told.transpose(0, 2, 1).reshape(6, 60)) - np.eye(6)
    assert np.abs(correlations).max() < 0.5  # by chance: standard deviation 0.13


def test_the_place_of_a_tile_says_nothing_of_its_brightness():
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, 200, dtype=np.float32), (1, 200, 200))
    shift = {"rotation": 0, "mirror": False, "elastic": 0}
    tell = A.Compose([Warp(4, **shift), A.RandomBrightnessContrast(brightness_limit=0.1, contrast_limit=0, p=1)])
    stream = Patches(ramp, np.zeros(ramp.shape, np.uint8), ramp, tell, 0, 0)
    drawn = [stream[i] for i in range(80)]
    place = np.array([float(draw["weight"].mean()) for draw in drawn])
    brightness = np.array([float(draw["image"].mean()) for draw in drawn]) - place
    assert brightness.std() > 0.03
    assert abs(np.corrcoef(place, brightness)[0, 1]) < 0.45  # by chance: standard deviation 0.11


def test_whether_one_transform_applies_says_nothing_of_the_next():
    first, second = Tell(p=0.5), Tell(p=0.5)
    stream = patches(augment=A.Compose([Warp(16), first, second]))
    both = 0
    for i in range(100):
        before = len(first.told), len(second.told)
        stream[i]
        both += (len(first.told), len(second.told)) == (before[0] + 1, before[1] + 1)
    assert 30 < len(first.told) < 70
    assert 30 < len(second.told) < 70
    assert 8 < both < 42  # 25 expected, standard deviation 4


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.integers(0, 12), st.integers(1, 5))
def test_draws_of_all_ranks_are_disjoint_and_together_complete(length, steps, ranks):
    start = steps * ranks
    parts = [list(Draws(length, start, rank, ranks)) for rank in range(ranks)]
    assert sorted(draw for part in parts for draw in part) == list(range(start, length))
    for rank, part in enumerate(parts):
        assert part == sorted(part)
        assert all(draw % ranks == rank for draw in part)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.integers(0, 12), st.integers(1, 5))
def test_the_length_of_draws_counts_those_before_the_start(length, steps, ranks):
    for rank in range(ranks):
        whole = Draws(length, 0, rank, ranks)
        assert len(Draws(length, steps * ranks, rank, ranks)) == len(whole) == len(list(whole))
