"""The LightningDataModule: from annotated slices to training tiles and whole slices."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from src import signals
from src.data.appearance import MOST_ROWS, Appearance, of_slice
from src.data.patches import Draws, Patches, image_tensor
from src.data.split import split
from src.data.stack import Stack, stacked
from src.data.targets import Target, learnt
from src.data.weight_map import WeightMap
from src.files.grey import normalise, with_channels
from src.files.legend import NUMBERS
from src.files.stored import Reading
from src.saying import doing


class SliceData(lightning.LightningDataModule):
    """Slices in memory, split into contiguous groups, because neighbouring slices are near copies.

    Args:
        source: reads or makes the annotated slices; called once in each process, first in one on each machine.
        train: slices to learn from, as `data.split` reads it: such as ``0-19`` or ``plate1_*``, or auto.
        validation: slices that choose checkpoint and threshold; may be empty.
        held_out: slices that are scored once, at the end.
        tile: side of the network's input in pixels.
        batch_size: tiles a step, over all processes together (1 in the paper).
        workers: processes that prepare tiles.
        classes: number of classes that the network tells apart (K).
        channels: of the images.
        augment: an `albumentations.Compose` that cuts tiles.
        weight_map: eq. 2.
        context: pixels at each border of a tile for which the network says nothing.
        seed: of the stream of tiles.
        scaling: of grey values to [0, 1], one of `files.stored.SCALINGS`.
        target: what is learnt of cells and classes.
        ridge: background drawn between instances of one class that touch, 0, 1 or 2 pixels wide (§3), where ``target``
            leaves it to that.
        foreground: share of tiles whose centre lies in a class of its own choice, so that rare ones are seen.
        root: where the source finds the files, if it says so; named in messages only.
        folder: where those files lie, so that a finished run can tell whether they have changed; None: `root`.
        cache_dir: where weight maps are kept.
        groups: a pattern of names by which slices belong together, such as ``{patient}[LR]``, see `split.together`;
            the automatic split does not part them.

    Attributes:
        reading: how the pixels of its files are seen, known when they have been read.
        legend: of its classes, likewise.
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
        classes: int,
        channels: int,
        augment: Callable[..., dict],
        weight_map: WeightMap,
        context: int,
        seed: int,
        cache_dir: str,
        scaling: str,
        target: Target,
        ridge: int = 2,
        foreground: float = 0.0,
        root: str | None = None,
        folder: str | None = None,
        groups: str | None = None,
    ) -> None:
        super().__init__()
        self.source = source
        self.parts = {"train": str(train), "validation": str(validation), "held_out": str(held_out)}
        self.groups, self.target = groups, target
        self.tile, self.batch_size, self.workers, self.ridge = tile, batch_size, workers, ridge
        self.foreground, self.root, self.scaling = foreground, root, scaling
        self.folder = Path(folder or root) if folder or root else None
        self.classes, self.channels, self.augment, self.weight_map = classes, channels, augment, weight_map
        self.context, self.seed, self.cache_dir = context, seed, Path(cache_dir)
        self.split: dict[str, Stack] = {}
        self.reading, self.legend = Reading(scaling=scaling), NUMBERS

    def prepare_data(self) -> None:
        # What is downloaded here is also read here, once; `setup` reads it in the other processes.
        self.setup()

    def setup(self, stage: str | None = None) -> None:
        if self.split:
            return
        stack = self.source()
        images = list(stack.images)
        fitting = [with_channels(image, self.channels) for image in images]
        if any(each is not image for each, image in zip(fitting, images, strict=True)):  # else nothing is copied
            stack = replace(stack, images=stacked(fitting))
        numbers = split(self.parts, stack.names, stack.files, stack.parts, self.groups)
        self.check_images(stack)
        self.reading = replace(stack.reading, scaling=self.scaling)
        self.legend = stack.legend if stack.legend.fits(self.classes) else NUMBERS
        self.split = {group: stack.take(chosen) for group, chosen in numbers.items()}

    def check_images(self, stack: Stack) -> None:
        """Refuse images that do not fit the network, or have no neighbours to mirror.

        Raises:
            ValueError: names the image.
        """
        where = f" in {self.root}" if self.root else ""
        for image, name in zip(stack.images, stack.names, strict=True):
            if min(image.shape[:2]) < 2:
                size = f"{image.shape[0]}×{image.shape[1]}"
                raise ValueError(f"expected images of at least 2×2 px, but {name}{where} has {size} px")
            found = 1 if image.ndim == 2 else image.shape[2]
            if found != self.channels:
                raise ValueError(
                    f"expected images of {self.channels} channels, but {name}{where} has {found}; "
                    f"nearest valid: model.in_channels={found}"
                )

    def tiles_of_process(self, ranks: int) -> int:
        """Tiles a step that each of ``ranks`` processes draws.

        Raises:
            ValueError: the tiles of a step cannot be shared out evenly.
        """
        if self.batch_size % ranks:
            raise ValueError(
                f"expected data.batch_size to be a multiple of the {ranks} processes, but got {self.batch_size}; "
                f"nearest valid: {-(-self.batch_size // ranks) * ranks}"
            )
        return self.batch_size // ranks

    def train_dataloader(self) -> DataLoader:
        trainer = self.trainer
        ranks = trainer.world_size
        draws_per_step = self.batch_size * trainer.accumulate_grad_batches
        draws = Draws(
            trainer.max_steps * draws_per_step, trainer.global_step * draws_per_step, trainer.global_rank, ranks
        )
        return DataLoader(
            self.patches,
            batch_size=self.tiles_of_process(ranks),
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
            self.patches[draw]
        return samples * max(1, self.workers) / (time.perf_counter() - started)

    @cached_property
    def patches(self) -> Patches:
        """The endless stream of training tiles."""
        boundary = self.classes - 1 if self.target.added else None
        stack = learnt(self.split["train"], self.target, boundary, self.ridge)
        cells = (stack.targets, stack.instances, self.classes)
        with doing(f"weight maps of {len(stack)} images"):
            weights = self.weight_map.cached(*cells, self.cache_dir, stack.known, boundary)
        images = [normalise(image, self.scaling) for image in stack.images]
        drawn = (self.augment, self.context, self.seed, self.foreground)
        return Patches(images, stack.targets, weights, *drawn, stack.names, stack.known)

    @cached_property
    def appearance(self) -> list[Appearance]:
        """What the training images look like, those of a very large data set at even distances."""
        stack = self.split["train"]
        chosen = np.unique(np.linspace(0, len(stack) - 1, min(len(stack), MOST_ROWS)).astype(int)).tolist()
        sizes = stack.pixel_sizes or [None] * len(stack)
        return [of_slice(stack.images[n], stack.instances[n], self.scaling, sizes[n]) for n in chosen]

    def val_dataloader(self) -> DataLoader | list:
        return self._whole_slices("validation")

    def test_dataloader(self) -> DataLoader | list:
        return self._whole_slices("held_out")

    def choosing_dataloader(self, most_pixels: int) -> DataLoader | list:
        """Validation slices for what is chosen at the end: all, or evenly chosen ones of so many pixels together."""
        stack = self.split["validation"]
        sizes = [image.shape[0] * image.shape[1] for image in stack.images]
        count = min(len(stack), max(1, most_pixels * len(stack) // max(1, sum(sizes))))
        return self._whole_slices("validation", np.linspace(0, len(stack) - 1, count).astype(int).tolist())

    def _whole_slices(self, group: str, chosen: list[int] | None = None) -> DataLoader | list:
        """The share of this process; an empty dictionary where the others have one slice more."""
        stack = self.split[group] if chosen is None else self.split[group].take(chosen)
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        share = stack.take(list(range(rank, len(stack), ranks)))
        slices = [
            {
                "image": image_tensor(normalise(image, self.scaling)),
                "target": torch.from_numpy(target.astype(np.int64)),
                "known": torch.from_numpy(known),
                "instances": torch.from_numpy(instances),
                "name": name,
            }
            for image, target, known, instances, name in zip(
                share.images, share.targets, share.known, share.instances, share.names, strict=True
            )
        ]
        # All must take part in each step of judging, because they add up the scores together.
        slices += [{}] * (-(-len(stack) // ranks) - len(slices))
        return DataLoader(slices) if slices else []
