"""Stacks of slices between disk and array: read, write, choose slices, scale grey values."""

from dataclasses import dataclass

import numpy as np

from src.files.arrays import content_hash
from src.files.legend import NUMBERS, Legend
from src.files.stored import SHOWN, Reading

NO_CLASS = 255

Slices = np.ndarray | list[np.ndarray]  # an array where all slices have one shape, else a list


@dataclass(frozen=True)
class Stack:
    """Annotated slices, the one form in which every data set reaches training.

    Attributes:
        images: grey values as acquired, each ``(H, W)`` or ``(H, W, C)``, uint8, uint16 or float.
        targets: class of each pixel, each ``(H, W)`` uint8; 0 is background (in EM: membrane).
        instances: cell of each pixel, each ``(H, W)`` int32; 0 is background. Numbers are unique in
            a slice; from slice to slice the same number may or may not mean the same cell.
        names: one name a slice, used in score tables and file names.
        files: the file of each slice, for a split that keeps neighbours together; None: all are of one.
        known: where somebody has annotated, each ``(H, W)`` bool; elsewhere there is no loss, no weight and no score.
            None: everywhere.
        reading: how the pixels of the files were seen.
        legend: of its classes.
        parts: train, validation or held_out for each slice, where the folders of its file say so, else empty.
        pixel_sizes: in µm, None of a slice of which nobody knows.
    """

    images: Slices
    targets: Slices
    instances: Slices
    names: list[str]
    files: list[str] | None = None
    known: Slices | None = None
    reading: Reading = SHOWN
    legend: Legend = NUMBERS
    parts: list[str] | None = None
    pixel_sizes: list[float | None] | None = None

    def __post_init__(self) -> None:
        if self.known is None:
            object.__setattr__(self, "known", everywhere(self.targets))
        names = ("images", "targets", "instances", "known")
        shapes = {name: [each.shape[:2] for each in getattr(self, name)] for name in names}
        equal = all(shapes[name] == shapes["images"] for name in names)
        if not equal or len(self.names) != len(self.images):
            got = ", ".join(f"{len(each)} {name} of {sorted(set(each))}" for name, each in shapes.items())
            raise ValueError(
                f"expected images, targets, instances and names of equal size, but got {got}, {len(self.names)} names"
            )

    def __len__(self) -> int:
        return len(self.names)

    def take(self, numbers: list[int]) -> "Stack":
        """The slices at ``numbers``, in that order."""
        images, targets, instances, known = (
            slices[numbers] if isinstance(slices, np.ndarray) else [slices[number] for number in numbers]
            for slices in (self.images, self.targets, self.instances, self.known)
        )
        names, files, parts = (
            each and [each[number] for number in numbers] for each in (self.names, self.files, self.parts)
        )
        sizes = self.pixel_sizes and [self.pixel_sizes[number] for number in numbers]
        return Stack(images, targets, instances, names, files, known, self.reading, self.legend, parts, sizes)

    @property
    def content(self) -> str:
        """A hash of images and targets."""
        parts = (self.images, marked(self.targets, self.known))
        return content_hash(*(each for part in parts for each in ([part] if isinstance(part, np.ndarray) else part)))


def everywhere(targets: Slices) -> Slices:
    """That all targets are known, each ``(H, W)`` bool."""
    return stacked([np.ones(target.shape, bool) for target in targets])


def marked(targets: Slices, known: Slices) -> Slices:
    """Targets as one array carries them together with where they are known: `NO_CLASS` where they are not."""
    return stacked([np.where(each, target, np.uint8(NO_CLASS)) for target, each in zip(targets, known, strict=True)])


def stacked(slices: list[np.ndarray]) -> Slices:
    """One array where all slices have one shape, else the list."""
    return np.stack(slices) if len({each.shape for each in slices}) == 1 else slices
