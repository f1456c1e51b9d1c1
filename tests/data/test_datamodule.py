"""From a stack to tiles and whole images: the split, the targets, the loaders."""

from dataclasses import replace
from itertools import chain
from types import SimpleNamespace

import albumentations as A
import lightning
import numpy as np
import pytest
import torch

from src.data import datamodule
from src.data.appearance import of_slice
from src.data.augment import Warp
from src.data.datamodule import SliceData
from src.data.phantom import phantom
from src.data.targets import PAPER, Core, learnt
from src.data.weight_map import WeightMap
from src.files.grey import normalise
from tests.data.test_targets import touching_stack

# Tests choose the number of workers themselves, whatever the machine has.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture(scope="module")
def micrographs():
    return phantom(slices=10, size=64)


@pytest.fixture
def slice_data(micrographs, tmp_path):
    """A maker of SliceData of ten small slices, from the arguments that matter to a test."""

    def make(**arguments):
        given = {
            "source": lambda: micrographs,
            "train": "0-5",
            "validation": "7",
            "held_out": "8-9",
            "tile": 32,
            "batch_size": 2,
            "workers": 0,
            "classes": 2,
            "channels": 1,
            "augment": A.Compose([Warp(32)]),
            "weight_map": WeightMap(),
            "context": 6,
            "seed": 0,
            "cache_dir": str(tmp_path),
            "scaling": "objects",
            "target": PAPER,
        }
        return SliceData(**given | arguments)

    return make


def ready(data):
    data.setup()
    return data


def test_groups_hold_the_slices_that_they_name(slice_data, micrographs):
    split = ready(slice_data()).split
    assert {group: len(stack) for group, stack in split.items()} == {"train": 6, "validation": 1, "held_out": 2}
    assert split["held_out"].names == ["slice_08", "slice_09"]
    for part in ("images", "targets", "instances"):
        np.testing.assert_array_equal(getattr(split["train"], part), getattr(micrographs, part)[:6])


def test_appearance_is_that_of_the_training_images_alone(slice_data):
    stack = replace(phantom(slices=10, size=192), pixel_sizes=[number / 10 + 0.1 for number in range(10)])
    data = ready(slice_data(source=lambda: stack))
    expected = [
        of_slice(stack.images[number], stack.instances[number], "objects", stack.pixel_sizes[number])
        for number in range(6)
    ]
    assert data.appearance == expected
    assert all({"sharpness", "diameter", "pixel_size"} <= row.keys() for row in expected)


def test_of_very_many_training_images_some_tell_of_all(slice_data, monkeypatch):
    monkeypatch.setattr(datamodule, "MOST_ROWS", 3)
    stack = replace(phantom(slices=10, size=64), pixel_sizes=[number + 1.0 for number in range(10)])
    assert [row["pixel_size"] for row in ready(slice_data(source=lambda: stack)).appearance] == [1, 3, 6]


def test_setup_reads_the_source_once(slice_data):
    calls = []
    data = slice_data(source=lambda: calls.append(1) or phantom(slices=10, size=64))
    for stage in ("fit", "validate", "test"):
        data.setup(stage)
    assert len(calls) == 1


AUTO = {"train": "auto", "validation": "auto", "held_out": "auto"}


def test_the_automatic_split_keeps_groups_together_and_follows_folders(slice_data, micrographs):
    names = [f"{number // 2}{'LR'[number % 2]}" for number in range(10)]
    eyes = replace(micrographs, names=names, files=names)
    split = ready(slice_data(source=lambda: eyes, groups="{patient}[LR]", **AUTO)).split
    assert {group: stack.names for group, stack in split.items()} == {
        "train": ["0L", "0R", "1L", "1R", "2L", "2R"],
        "validation": ["3L", "3R"],
        "held_out": ["4L", "4R"],
    }
    said = replace(eyes, parts=["held_out"] * 2 + ["validation"] * 2 + ["train"] * 5 + [""])
    split = ready(slice_data(source=lambda: said, **AUTO)).split
    assert [stack.names for stack in split.values()] == [names[4:9], names[2:4], names[:2]]


def test_a_slice_in_two_groups_is_refused_by_number(slice_data):
    with pytest.raises(ValueError, match="image 5 in train and held_out"):
        slice_data(held_out="5-9", validation="6").setup()
    with pytest.raises(ValueError, match="image 7 in validation and held_out"):
        slice_data(held_out="7").setup()


def test_a_slice_outside_the_stack_is_refused(slice_data):
    with pytest.raises(ValueError, match=r"expected images from 0 to 9, but got '8-12'; nearest valid: 9"):
        slice_data(held_out="8-12").setup()


def test_no_validation_slice_is_no_validation(slice_data):
    data = ready(slice_data(validation=""))
    assert len(list(data.val_dataloader())) == 0
    assert len(list(data.test_dataloader())) == 2


def test_whole_slices_come_one_by_one_with_their_names(slice_data, micrographs):
    batches = list(ready(slice_data()).test_dataloader())
    assert [batch["name"] for batch in batches] == [["slice_08"], ["slice_09"]]
    for number, batch in zip((8, 9), batches, strict=True):
        assert batch["image"].shape == (1, 1, 64, 64)
        assert batch["image"].dtype == torch.float32
        assert (batch["image"].min(), batch["image"].max()) == (0, 1)
        np.testing.assert_array_equal(batch["image"][0, 0], normalise(micrographs.images[number], "objects"))
        assert batch["target"].dtype == torch.int64
        # Scores compare with the annotation itself: the ridge is for training only.
        np.testing.assert_array_equal(batch["target"][0], micrographs.targets[number])


@pytest.mark.parametrize("target", [PAPER, Core()])
def test_tiles_learn_from_target_and_weight_map(target, slice_data):
    stack = touching_stack()
    parts = {"train": "0", "validation": "", "held_out": "1"}
    patches = ready(slice_data(source=lambda: stack, **parts, classes=4, ridge=1, target=target)).patches
    expected = learnt(stack.take([0]), target, boundary=3, ridge=1)
    np.testing.assert_array_equal(patches.targets, expected.targets)
    weights = WeightMap()(expected.targets, expected.instances, 4, boundary=3 if target.added else None)
    np.testing.assert_array_equal(patches.weights, weights)
    np.testing.assert_array_equal(patches.images[0], normalise(stack.images[0], "objects"))


def trainer(**arguments):
    given = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "max_steps": 3}
    return lightning.Trainer(**given | arguments)


@pytest.mark.parametrize("accumulate", [1, 4])
def test_training_sees_one_draw_for_each_place_in_each_batch(slice_data, accumulate):
    data = ready(slice_data())
    data.trainer = trainer(accumulate_grad_batches=accumulate)
    loader = data.train_dataloader()
    batches = list(loader)
    assert len(batches) == len(loader) == 3 * accumulate
    assert batches[0]["image"].shape == (2, 1, 32, 32)
    assert batches[0]["target"].shape == batches[0]["weight"].shape == (2, 20, 20)
    images = torch.cat([batch["image"] for batch in batches])
    stream = data.patches
    for draw, image in enumerate(images):
        assert torch.equal(image, stream[draw]["image"])


def test_a_batch_that_processes_cannot_share_is_refused(slice_data):
    data = ready(slice_data(batch_size=3))
    data.trainer = trainer(devices=2)
    with pytest.raises(ValueError, match=r"multiple of the 2 processes, but got 3; nearest valid: 4"):
        data.train_dataloader()


def rank_of(rank, ranks, **arguments):
    """The attributes of a trainer that the data module reads, for one process of several."""
    given = {"max_steps": 3, "global_step": 0, "accumulate_grad_batches": 1}
    return SimpleNamespace(global_rank=rank, world_size=ranks, **given | arguments)


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("done", [0, 2])
def test_processes_draw_together_what_one_would_and_nothing_twice(ranks, accumulate, done, slice_data):
    drawn = {}
    for count in (1, ranks):
        for rank in range(count):
            data = ready(slice_data(batch_size=6))
            data.trainer = rank_of(rank, count, global_step=done, accumulate_grad_batches=accumulate)
            loader = data.train_dataloader()
            assert loader.batch_size == 6 // count
            assert len(loader) == 3 * accumulate
            drawn[count, rank] = list(loader.batch_sampler)
    steps = [sorted(chain(*batches)) for batches in zip(*(drawn[ranks, r] for r in range(ranks)), strict=True)]
    assert steps == drawn[1, 0]
    assert len(steps) == (3 - done) * accumulate
    assert list(chain(*steps)) == list(range(6 * done * accumulate, 6 * 3 * accumulate))


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("group", ["validation", "held_out"])
@pytest.mark.parametrize("slices", [1, 2, 3, 4])
def test_each_slice_is_of_one_process_and_all_take_as_many_steps(group, slices, ranks, slice_data):
    data = ready(slice_data(train="0", **{"validation": "1", "held_out": "2"} | {group: f"3-{2 + slices}"}))
    shares = []
    for rank in range(ranks):
        data.trainer = rank_of(rank, ranks)
        loader = data.val_dataloader() if group == "validation" else data.test_dataloader()
        shares.append([batch["name"][0] if batch else None for batch in loader])
    assert len({len(share) for share in shares}) == 1, "a process would wait for another one for ever"
    assert len(shares[0]) == -(-slices // ranks)
    # Processes take slices in turns; the last ones may have one less.
    turns = [name for turn in zip(*shares, strict=True) for name in turn]
    names = [f"slice_{number:02d}" for number in range(3, 3 + slices)]
    assert turns == names + [None] * (len(turns) - slices)


def test_what_is_chosen_at_the_end_is_chosen_on_all_validation_slices_or_evenly_on_some(slice_data):
    data = ready(slice_data(train="0", validation="1-7"))

    def names(most_pixels):
        return [batch["name"][0] for batch in data.choosing_dataloader(most_pixels)]

    assert names(7 * 64**2) == [f"slice_{number:02d}" for number in range(1, 8)]
    assert names(3 * 64**2) == ["slice_01", "slice_04", "slice_07"]
    assert names(1) == ["slice_01"]


def test_no_validation_slice_is_no_validation_in_any_process(slice_data):
    data = ready(slice_data(validation=""))
    for rank in range(2):
        data.trainer = rank_of(rank, 2)
        assert len(list(data.val_dataloader())) == 0


class Witness(lightning.LightningModule):
    """The smallest module that Lightning trains: it records the images that it sees, and saves after two steps."""

    def __init__(self, checkpoint=None):
        super().__init__()
        self.layer, self.checkpoint, self.seen = torch.nn.Linear(1, 1), checkpoint, []

    def training_step(self, batch, index):
        self.seen += [image.sum().item() for image in batch["image"]]
        return self.layer(batch["image"].mean().reshape(1, 1)).sum()

    def on_train_batch_end(self, *_):
        if self.checkpoint and self.trainer.global_step == 2:
            self.trainer.save_checkpoint(self.checkpoint)

    def validation_step(self, batch, index):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_a_run_that_continues_sees_the_draws_that_the_first_part_did_not(slice_data, tmp_path):
    file = tmp_path / "part.ckpt"
    whole, rest = Witness(file), Witness()
    for module, checkpoint in ((whole, None), (rest, file)):
        run = trainer(max_steps=5, enable_progress_bar=False, enable_model_summary=False)
        run.fit(module, datamodule=slice_data(validation=""), ckpt_path=checkpoint)
    assert len(set(whole.seen)) == 10
    assert rest.seen == whole.seen[4:]
