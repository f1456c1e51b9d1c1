"""Training tiles, drawn one by one from annotated images as an endless, reproducible stream.

Tile number i depends on the seed and on i only. So the stream is the same for any number of workers, an interrupted run
resumes where it stopped, and tiles do not repeat. With albumentations alone they would: version 2.0.8 draws the same
random numbers in every worker and every epoch.
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
    """A training tile: the name of its image, input ``(C, H, W)``, target ``(h, w)`` int64 and weight ``(h, w)``.

    h and w are the height and width of the network's output.
    """

    name: str
    image: Tensor
    target: Tensor
    weight: Tensor


class Patches(Dataset[Tile]):
    """Augmented training tiles with their targets and weights; item i is tile number i.

    Args:
        images: grey values in [0, 1], each ``(H, W)`` or ``(H, W, C)`` float32.
        targets: class of each pixel, each ``(H, W)`` uint8.
        weights: weight maps of the loss, each ``(H, W)`` float32.
        augment: an `albumentations.Compose` that begins with a `Warp`.
        context: width in pixels of the border of a tile for which the network has no output.
        seed: seed of the random numbers; each seed gives a different stream of tiles.
        foreground: share of tiles whose centre lies in a class other than 0, where each class is equally probable.
            The centres of all other tiles are drawn uniformly.
        names: names of the images; None means their indices.
        known: whether each pixel is annotated, each ``(H, W)`` bool; None means that all pixels are.

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
        """Draw the index of an image and the centre ``(x, y)`` of a tile in it; None means a uniformly drawn centre."""
        if not self.slices_of or random.random() >= self.foreground:
            return int(random.integers(len(self.images))), None
        number = random.choice(list(self.slices_of))
        index = int(random.choice(self.slices_of[number]))
        rows, columns = np.nonzero(self.targets[index] == number)
        pixel = random.integers(len(rows))
        return index, (float(columns[pixel]), float(rows[pixel]))

    def class_shares(self, classes: int) -> np.ndarray:
        """Return each class's share of the total weight of all annotated pixels, ``(K,)``.

        Of all constant predictions, these shares have the smallest weighted cross-entropy.
        """
        sums = np.zeros(classes)
        for target, weight, known in zip(self.targets, self.weights, self.known, strict=True):
            sums += np.bincount(target[known], weight[known], minlength=classes)
        shares: np.ndarray = sums / max(sums.sum(), np.finfo(float).tiny)
        return shares


def foreground_slices(targets: Slices) -> dict[int, np.ndarray]:
    """Return the indices of the images in which each class other than 0 occurs, by class."""
    occurring = [set(np.unique(target[target > 0]).tolist()) for target in targets]
    classes = sorted(set().union(*occurring))
    return {each: np.array([n for n, found in enumerate(occurring) if each in found]) for each in classes}


class Draws(Sampler[int]):
    """The numbers of the training tiles that one process draws: every ``ranks``-th tile, starting at ``start + rank``.

    The length of the sampler includes the tiles before ``start``, because Lightning counts them in a resumed run.

    Args:
        length: number of tiles in the whole run, for all processes together.
        start: number of the first tile of a resumed run; a multiple of ``ranks``.
        rank: the number of the process.
        ranks: the number of processes.
    """

    def __init__(self, length: int, start: int = 0, rank: int = 0, ranks: int = 1) -> None:
        self.length, self.start, self.rank, self.ranks = length, start, rank, ranks

    @override
    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start + self.rank, self.length, self.ranks))

    def __len__(self) -> int:
        return len(range(self.rank, self.length, self.ranks))


def image_tensor(image: np.ndarray) -> Tensor:
    """Convert an image ``(H, W)`` or ``(H, W, C)`` to a tensor ``(C, H, W)`` float32."""
    channels_first = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return torch.from_numpy(np.ascontiguousarray(channels_first, np.float32))
