"""The LightningDataModule, which makes training tiles and whole images from annotated images."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypedDict

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from typing_extensions import override

from src import signals
from src.data.appearance import MOST_ROWS, Appearance, of_slice
from src.data.patches import Draws, Patches, Tile, image_tensor
from src.data.split import split
from src.data.stack import Stack, stacked
from src.data.targets import Target, learnt
from src.data.weight_map import WeightMap
from src.files.grey import normalise, with_channels
from src.files.legend import NUMBERS
from src.files.stored import Reading
from src.saying import doing


class WholeImage(TypedDict, total=False):
    """A validation or held-out image as tensors; an empty dictionary if the process has no image left.

    Attributes:
        name: name of the image.
        image: grey values scaled to [0, 1], ``(C, H, W)`` float32.
        target: class of each pixel, ``(H, W)`` int64.
        known: annotated pixels, ``(H, W)`` bool.
        instances: cell of each pixel, ``(H, W)`` int32, 0 = background.
    """

    name: str
    image: Tensor
    target: Tensor
    known: Tensor
    instances: Tensor


WholeImages = DataLoader[WholeImage] | list[WholeImage]


class SliceData(lightning.LightningDataModule):
    """Annotated images in memory, split into training, validation and held-out images.

    Args:
        source: function that reads or makes the annotated images; called once per process, by one process per machine
            before the others.
        train: choice of the training images, such as ``0-19``, ``plate1_*`` or auto, see `data.split.split`.
        validation: validation images, which choose the checkpoint and the threshold; may be empty.
        held_out: held-out images, which are scored once, at the end.
        tile: side of the network's input in pixels.
        batch_size: number of tiles per training step, summed over all processes (1 in the paper).
        workers: number of processes that prepare tiles.
        classes: number of classes (K).
        channels: number of channels of the images.
        augment: an `albumentations.Compose` that cuts a tile out of an image.
        weight_map: the weight map of eq. 2.
        context: number of pixels at each border of a tile for which the network has no output.
        seed: seed of the stream of tiles.
        scaling: how grey values are scaled to [0, 1], one of `files.stored.SCALINGS`.
        target: how annotated cells become the classes that the network learns.
        ridge: width of the background drawn between touching cells of one class, 0, 1 or 2 pixels (§3); not used if
            ``target`` adds a boundary.
        foreground: share of tiles that are centred on a class other than 0, so that rare classes are seen.
        root: folder of the data, for messages only; None if the data do not come from a folder.
        folder: folder whose files are compared with those of a finished run to detect changes; None: ``root``.
        cache_dir: folder in which weight maps are cached.
        groups: pattern of image names, such as ``{patient}[LR]``, that shows which images the automatic split keeps
            together, see `split.together`; None: no pattern.

    Attributes:
        reading: how the pixels of the files were read; known after `setup`.
        legend: names of the classes; known after `setup`.
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
        augment: Callable[..., dict[str, np.ndarray]],
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
        compared = folder or root
        self.folder = Path(compared) if compared else None
        self.classes, self.channels, self.augment, self.weight_map = classes, channels, augment, weight_map
        self.context, self.seed, self.cache_dir = context, seed, Path(cache_dir)
        self.split: dict[str, Stack] = {}
        self.reading, self.legend = Reading(scaling=scaling), NUMBERS

    @override
    def prepare_data(self) -> None:
        # One process per machine downloads and reads the data first; then `setup` reads the data in all others.
        self.setup()

    @override
    def setup(self, stage: str | None = None) -> None:
        if self.split:
            return
        stack = self.source()
        images = list(stack.images)
        fitting = [with_channels(image, self.channels) for image in images]
        if any(each is not image for each, image in zip(fitting, images, strict=True)):  # avoids a copy
            stack = replace(stack, images=stacked(fitting))
        numbers = split(self.parts, stack.names, stack.files, stack.parts, self.groups)
        self.check_images(stack)
        self.reading = replace(stack.reading, scaling=self.scaling)
        self.legend = stack.legend if stack.legend.fits(self.classes) else NUMBERS
        self.split = {group: stack.take(chosen) for group, chosen in numbers.items()}

    def check_images(self, stack: Stack) -> None:
        """Refuse images whose number of channels is not that of the network, or that are too small to be mirrored.

        Raises:
            ValueError: there is such an image; the message names it.
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
        """Return the number of tiles per step that each of ``ranks`` processes draws.

        Raises:
            ValueError: ``batch_size`` is not a multiple of ``ranks``.
        """
        if self.batch_size % ranks:
            raise ValueError(
                f"expected data.batch_size to be a multiple of the {ranks} processes, but got {self.batch_size}; "
                f"nearest valid: {-(-self.batch_size // ranks) * ranks}"
            )
        return self.batch_size // ranks

    @override
    def train_dataloader(self) -> DataLoader[Tile]:
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("expected a trainer, which knows where training starts, but there is none")
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
            persistent_workers=self.workers > 0,  # Lightning ends only persistent workers when training is stopped
            pin_memory=torch.cuda.is_available(),
        )

    def tiles_per_second(self, samples: int = 5) -> float:
        """Return how many tiles per second the workers of one process can make, measured on ``samples`` tiles."""
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
        """The appearance of each training image, or of `MOST_ROWS` evenly spaced training images if there are more."""
        stack = self.split["train"]
        chosen = np.unique(np.linspace(0, len(stack) - 1, min(len(stack), MOST_ROWS)).astype(int)).tolist()
        sizes = stack.pixel_sizes or [None] * len(stack)
        return [of_slice(stack.images[n], stack.instances[n], self.scaling, sizes[n]) for n in chosen]

    @override
    def val_dataloader(self) -> WholeImages:
        return self._whole_images("validation")

    @override
    def test_dataloader(self) -> WholeImages:
        return self._whole_images("held_out")

    def choosing_dataloader(self, most_pixels: int) -> WholeImages:
        """Return the validation images on which the decoder is chosen after training.

        Args:
            most_pixels: if the validation images have more pixels in total, evenly spaced images with about this total
                are used.
        """
        stack = self.split["validation"]
        sizes = [image.shape[0] * image.shape[1] for image in stack.images]
        count = min(len(stack), max(1, most_pixels * len(stack) // max(1, sum(sizes))))
        return self._whole_images("validation", np.linspace(0, len(stack) - 1, count).astype(int).tolist())

    def _whole_images(self, group: str, chosen: list[int] | None = None) -> WholeImages:
        """Return this process's share of the validation or held-out images.

        An empty dictionary is added if other processes have one image more.

        Args:
            group: validation or held_out.
            chosen: indices of the images to use in that group; None: all images.
        """
        stack = self.split[group] if chosen is None else self.split[group].take(chosen)
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        share = stack.take(list(range(rank, len(stack), ranks)))
        images: list[WholeImage] = [
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
        # Scores are reduced over ranks, so every process must take part in every step.
        images += [{}] * (-(-len(stack) // ranks) - len(images))
        return DataLoader(images) if images else []  # type: ignore[arg-type]  # a list is a data set too
