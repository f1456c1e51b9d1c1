"""Training tiles, drawn one by one from annotated images: an endless, reproducible stream.

Tile number i is a pure function of the seed and i. So the stream is the same for any number of workers, an interrupted
run resumes it where it stopped, and no tile repeats, as they do with albumentations alone (2.0.8 draws the same random
numbers in every worker and every epoch).
"""

from collections.abc import Iterator
from typing import TypedDict

import albumentations as A
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from typing_extensions import override

from src.data.augment import reseed
from src.data.stack import NO_CLASS, Slices, everywhere, marked


class Tile(TypedDict):
    """A training tile: image ``(C, H, W)``, target ``(h, w)`` int64, weight ``(h, w)``, and the name of its image."""

    name: str
    image: Tensor
    target: Tensor
    weight: Tensor


class Patches(Dataset[Tile]):
    """Augmented tiles with their targets and weights.

    Args:
        images: grey values in [0, 1], each ``(H, W)`` or ``(H, W, C)`` float32.
        targets: classes, each ``(H, W)`` uint8.
        weights: the weight map, each ``(H, W)`` float32.
        augment: an `albumentations.Compose` that begins with a `Warp`.
        context: pixels at each border of a tile for which the network has no output.
        seed: each seed gives another stream.
        foreground: share of tiles whose centre lies in a class other than 0. Each class is drawn with the same
            probability. The centres of all other tiles are uniform.
        names: the names of the images; None: their numbers.
        known: the annotated pixels, each ``(H, W)`` bool; None: all.

    Raises:
        ValueError: ``foreground`` is not between 0 and 1.
    """

    def __init__(
        self,
        images: Slices,
        targets: Slices,
        weights: Slices,
        augment: A.Compose,
        context: int,
        seed: int,
        foreground: float = 0.0,
        names: list[str] | None = None,
        known: Slices | None = None,
    ) -> None:
        if not 0 <= foreground <= 1:
            raise ValueError(f"expected data.foreground in [0, 1], but got {foreground}")
        self.images, self.targets, self.weights = images, targets, weights
        self.names = names or [str(number) for number in range(len(images))]
        self.augment, self.context, self.seed, self.foreground = augment, context, seed, foreground
        self.known = everywhere(targets) if known is None else known
        self.masks = marked(targets, self.known)
        self.slices_of = foreground_slices(targets) if foreground else {}

    @override
    def __getitem__(self, draw: int) -> Tile:
        random = np.random.default_rng([self.seed, draw])
        index, centre = self._place(random)
        reseed(self.augment, random)
        arrays = {"image": self.images[index], "mask": self.masks[index], "weight": self.weights[index]}
        tile = self.augment(**arrays, context=self.context, centre=centre)
        unknown = tile["mask"] == NO_CLASS
        return {
            "name": self.names[index],
            "image": image_tensor(tile["image"]),
            "target": torch.from_numpy(np.where(unknown, 0, tile["mask"]).astype(np.int64)),
            "weight": torch.from_numpy(np.where(unknown, 0, tile["weight"]).astype(np.float32)),
        }

    def _place(self, random: np.random.Generator) -> tuple[int, tuple[float, float] | None]:
        """The number of an image and the centre ``(x, y)`` of a tile in it; None: drawn uniformly."""
        if not self.slices_of or random.random() >= self.foreground:
            return int(random.integers(len(self.images))), None
        number = random.choice(list(self.slices_of))
        index = int(random.choice(self.slices_of[number]))
        rows, columns = np.nonzero(self.targets[index] == number)
        pixel = random.integers(len(rows))
        return index, (float(columns[pixel]), float(rows[pixel]))

    def class_shares(self, classes: int) -> np.ndarray:
        """Each class's share of the total weight, ``(K,)``: the constant prediction of least weighted cross-entropy."""
        sums = np.zeros(classes)
        for target, weight, known in zip(self.targets, self.weights, self.known, strict=True):
            sums += np.bincount(target[known], weight[known], minlength=classes)
        shares: np.ndarray = sums / max(sums.sum(), np.finfo(float).tiny)
        return shares


def foreground_slices(targets: Slices) -> dict[int, np.ndarray]:
    """The numbers of the images in which each class other than 0 occurs, by class."""
    occurring = [set(np.unique(target[target > 0]).tolist()) for target in targets]
    classes = sorted(set().union(*occurring))
    return {each: np.array([n for n, found in enumerate(occurring) if each in found]) for each in classes}


class Draws(Sampler[int]):
    """The numbers of the tiles that one process draws: every ``ranks``-th one, starting at ``rank``.

    Its length includes the tiles before ``start``, because Lightning counts them in a resumed run.

    Args:
        length: tiles of the whole run, of all processes together.
        start: the first tile of a resumed run; a multiple of ``ranks``.
        rank: the number of the process.
        ranks: how many processes there are.
    """

    def __init__(self, length: int, start: int = 0, rank: int = 0, ranks: int = 1) -> None:
        self.length, self.start, self.rank, self.ranks = length, start, rank, ranks

    @override
    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start + self.rank, self.length, self.ranks))

    def __len__(self) -> int:
        return len(range(self.rank, self.length, self.ranks))


def image_tensor(image: np.ndarray) -> Tensor:
    """The image ``(H, W)`` or ``(H, W, C)`` as a tensor ``(C, H, W)`` float32."""
    channels_first = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return torch.from_numpy(np.ascontiguousarray(channels_first, np.float32))
