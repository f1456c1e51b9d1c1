"""The LightningDataModule: from annotated slices to training tiles and whole slices."""

import time
from collections.abc import Callable
from pathlib import Path

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from src.data.patches import Draws, Patches, image_tensor
from src.data.stack import Stack, normalise, slice_numbers
from src.data.weight_map import WeightMap, separate_touching
from src.run import signals


class SliceData(lightning.LightningDataModule):
    """Slices in memory, split into contiguous groups, because neighbouring slices are near copies.

    Args:
        source: reads or makes the annotated slices; called once in each process, first in one on each machine.
        train: slices to learn from, such as ``0-19`` (both ends included) or ``0-9,15``.
        validation: slices that choose checkpoint and threshold; may be empty.
        held_out: slices that are scored once, at the end.
        tile: side of the network's input in pixels.
        batch_size: tiles a step, over all processes together (1 in the paper).
        workers: processes that prepare tiles.
        ridge: background drawn between instances that touch, 0, 1 or 2 pixels wide (§3).
        classes: number of classes (K).
        augment: an `albumentations.Compose` that cuts tiles.
        weight_map: eq. 2.
        context: pixels at each border of a tile for which the network says nothing.
        seed: of the stream of tiles.
        cache_dir: where weight maps are kept.

    Raises:
        ValueError: the groups overlap or lie outside the stack.
    """

    def __init__(
        self,
        source: Callable[[], Stack],
        train: str | int,
        validation: str | int,
        held_out: str | int,
        tile: int,
        batch_size: int,
        workers: int,
        ridge: int,
        classes: int,
        augment: Callable[..., dict],
        weight_map: WeightMap,
        context: int,
        seed: int,
        cache_dir: str,
    ):
        super().__init__()
        self.source, self.groups = source, {"train": train, "validation": validation, "held_out": held_out}
        self.tile, self.batch_size, self.workers, self.ridge = tile, batch_size, workers, ridge
        self.classes, self.augment, self.weight_map = classes, augment, weight_map
        self.context, self.seed, self.cache_dir = context, seed, Path(cache_dir)
        self.split: dict[str, Stack] = {}

    def prepare_data(self) -> None:
        # What is downloaded here is also read here, once; `setup` reads it in the other processes.
        self.setup()

    def setup(self, stage: str | None = None) -> None:
        if self.split:
            return
        stack = self.source()
        numbers = {group: slice_numbers(str(text), len(stack)) for group, text in self.groups.items()}
        check_groups(numbers)
        self.split = {group: stack.take(chosen) for group, chosen in numbers.items()}

    def train_dataloader(self) -> DataLoader:
        trainer = self.trainer
        ranks = trainer.world_size
        if self.batch_size % ranks:
            raise ValueError(
                f"expected data.batch_size to be a multiple of the {ranks} processes, but got {self.batch_size}; "
                f"nearest valid: {-(-self.batch_size // ranks) * ranks}"
            )
        draws_per_step = self.batch_size * trainer.accumulate_grad_batches
        draws = Draws(
            trainer.max_steps * draws_per_step,
            trainer.global_step * draws_per_step,
            trainer.global_rank,
            ranks,
        )
        self.stream = self.patches()
        return DataLoader(
            self.stream,
            batch_size=self.batch_size // ranks,
            sampler=draws,
            num_workers=self.workers,
            worker_init_fn=signals.ignore,
            persistent_workers=self.workers > 0,  # only those does Lightning end when training is stopped
            pin_memory=torch.cuda.is_available(),
        )

    def tiles_per_second(self, samples: int = 5) -> float:
        """How many tiles the workers of a process can make, from a few made here."""
        started = time.perf_counter()
        for draw in range(samples):
            self.stream[draw]
        return samples * max(1, self.workers) / (time.perf_counter() - started)

    def patches(self) -> Patches:
        """The endless stream of training tiles."""
        stack = with_ridge(self.split["train"], self.ridge)
        weights = self.weight_map.cached(stack.targets, stack.instances, self.classes, self.cache_dir)
        images = np.stack([normalise(image) for image in stack.images])
        return Patches(images, stack.targets, weights, self.augment, self.context, self.seed)

    def val_dataloader(self) -> DataLoader | list:
        return self._whole_slices("validation")

    def test_dataloader(self) -> DataLoader | list:
        return self._whole_slices("held_out")

    def _whole_slices(self, group: str) -> DataLoader | list:
        """The share of this process; an empty dictionary where the others have one slice more."""
        stack = self.split[group]
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        share = stack.take(list(range(rank, len(stack), ranks)))
        slices = [
            {
                "image": image_tensor(normalise(image)),
                "target": torch.from_numpy(target.astype(np.int64)),
                "instances": torch.from_numpy(instances),
                "name": name,
            }
            for image, target, instances, name in zip(
                share.images, share.targets, share.instances, share.names, strict=True
            )
        ]
        # All must take part in each step of judging, because they add up the scores together.
        slices += [{}] * (-(-len(stack) // ranks) - len(slices))
        return DataLoader(slices) if slices else []


def check_groups(numbers: dict[str, list[int]]) -> None:
    """Refuse a split in which a slice belongs to two groups, because its score would be flattered.

    Raises:
        ValueError: names the slice; or there is nothing to learn from or to score.
    """
    for group in ("train", "held_out"):
        if not numbers[group]:
            raise ValueError(f"expected at least one slice in data.{group}, but got none")
    seen: dict[int, str] = {}
    for group, chosen in numbers.items():
        for number in chosen:
            if number in seen:
                raise ValueError(
                    f"expected each slice in one group, but got slice {number} in {seen[number]} and {group}"
                )
            seen[number] = group


def with_ridge(stack: Stack, width: int) -> Stack:
    """The stack with background between touching instances, in instances and targets alike."""
    instances = np.stack([separate_touching(cells, width) for cells in stack.instances])
    targets = np.where((stack.instances > 0) & (instances == 0), 0, stack.targets).astype(stack.targets.dtype)
    return Stack(stack.images, targets, instances, stack.names)
