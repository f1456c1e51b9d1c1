"""Annotated images in memory: every data set is converted to this form before training."""

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
        instances: cell number at each pixel, each ``(H, W)`` int32; 0 is background. Numbers are unique within an
            image; the same number in two images may or may not mean the same cell.
        known: whether each pixel is annotated, each ``(H, W)`` bool; other pixels have no loss, no weight and no score.
        names: one name per image, used in score tables and file names.
        files: source file of each image, by which a split keeps neighbouring slices together; None means that all
            images come from one file.
        reading: how the pixels of the files were read.
        legend: names, pixel values and colours of the classes.
        parts: train, validation or held_out for each image if its folders say so, else empty; None if no folder does.
        pixel_sizes: pixel size of each image in µm, or None if its file does not state it; None if no file does.

    Raises:
        ValueError: images, targets, instances, known and names differ in number, or arrays of an image in size.
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
        """Return a stack of the images with the given indices, in the given order."""
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
        """A hash of the images, the targets and which pixels are annotated."""
        parts = (self.images, marked(self.targets, self.known))
        return content_hash(*(each for part in parts for each in ([part] if isinstance(part, np.ndarray) else part)))


def everywhere(targets: Slices) -> Slices:
    """Return `Stack.known` for fully annotated images: True at each pixel, each ``(H, W)`` bool."""
    return stacked([np.ones(target.shape, bool) for target in targets])


def marked(targets: Slices, known: Slices) -> Slices:
    """Return targets in which unannotated pixels are `NO_CLASS`, so that one array holds both targets and `known`."""
    return stacked([np.where(each, target, np.uint8(NO_CLASS)) for target, each in zip(targets, known, strict=True)])


def stacked(slices: list[np.ndarray]) -> Slices:
    """Stack arrays into one array if all have the same shape, else return the list."""
    return np.stack(slices) if len({each.shape for each in slices}) == 1 else slices
