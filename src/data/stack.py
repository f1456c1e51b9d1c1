"""Annotated images in memory, the form in which every data set reaches training."""

from dataclasses import dataclass

import numpy as np

from src.files.arrays import content_hash
from src.files.legend import NUMBERS, Legend
from src.files.stored import SHOWN, Reading

NO_CLASS = 255

Slices = np.ndarray | list[np.ndarray]  # one array if all images have one shape, else a list


@dataclass(frozen=True)
class Stack:
    """Annotated images.

    Attributes:
        images: grey values as acquired, each ``(H, W)`` or ``(H, W, C)``, uint8, uint16 or float.
        targets: class of each pixel, each ``(H, W)`` uint8; 0 is background (in EM: membrane).
        instances: cell of each pixel, each ``(H, W)`` int32; 0 is background. Numbers are unique within an image; the
            same number in two images may or may not mean the same cell.
        known: the annotated pixels, each ``(H, W)`` bool; all others have no loss, no weight and no score.
        names: one name per image, used in score tables and file names.
        files: the source file of each image, so that a split keeps neighbouring slices together; None: one for all.
        reading: how the pixels of the files were read.
        legend: the names of the classes.
        parts: train, validation or held_out for each image, where its folders give the split, else empty.
        pixel_sizes: in µm, None for an image whose file does not say; None: for all of them.

    Raises:
        ValueError: the parts differ in number or in size.
    """

    images: Slices
    targets: Slices
    instances: Slices
    known: Slices
    names: list[str]
    files: list[str] | None = None
    reading: Reading = SHOWN
    legend: Legend = NUMBERS
    parts: list[str] | None = None
    pixel_sizes: list[float | None] | None = None

    def __post_init__(self) -> None:
        arrays = {"images": self.images, "targets": self.targets, "instances": self.instances, "known": self.known}
        shapes = {name: [each.shape[:2] for each in slices] for name, slices in arrays.items()}
        equal = all(each == shapes["images"] for each in shapes.values())
        if not equal or len(self.names) != len(self.images):
            got = ", ".join(f"{len(each)} {name} of {sorted(set(each))}" for name, each in shapes.items())
            raise ValueError(
                f"expected images, targets, instances and names of equal size, but got {got}, {len(self.names)} names"
            )

    def __len__(self) -> int:
        return len(self.names)

    def take(self, numbers: list[int]) -> "Stack":
        """The images at ``numbers``, in that order."""
        images, targets, instances, known = (
            slices[numbers] if isinstance(slices, np.ndarray) else [slices[number] for number in numbers]
            for slices in (self.images, self.targets, self.instances, self.known)
        )
        names = [self.names[number] for number in numbers]
        files, parts = (each and [each[number] for number in numbers] for each in (self.files, self.parts))
        sizes = self.pixel_sizes and [self.pixel_sizes[number] for number in numbers]
        return Stack(images, targets, instances, known, names, files, self.reading, self.legend, parts, sizes)

    @property
    def content(self) -> str:
        """A hash of images and targets."""
        parts = (self.images, marked(self.targets, self.known))
        return content_hash(*(each for part in parts for each in ([part] if isinstance(part, np.ndarray) else part)))


def everywhere(targets: Slices) -> Slices:
    """`Stack.known` of fully annotated images, each ``(H, W)`` bool."""
    return stacked([np.ones(target.shape, bool) for target in targets])


def marked(targets: Slices, known: Slices) -> Slices:
    """Targets in which every pixel that is not annotated is `NO_CLASS`, so that one array carries both."""
    return stacked([np.where(each, target, np.uint8(NO_CLASS)) for target, each in zip(targets, known, strict=True)])


def stacked(slices: list[np.ndarray]) -> Slices:
    """One array if all images have one shape, else the list."""
    return np.stack(slices) if len({each.shape for each in slices}) == 1 else slices
