"""Stacks of slices between disk and array: read, write, choose slices, scale grey values."""

from dataclasses import dataclass

import numpy as np

from src.files.arrays import content_hash

IGNORED = 255  # target of a pixel that nobody has annotated: no loss, no weight, no score

Slices = np.ndarray | list[np.ndarray]  # an array where all slices have one shape, else a list


@dataclass(frozen=True)
class Stack:
    """Annotated slices, the one form in which every data set reaches training.

    Attributes:
        images: grey values as acquired, each ``(H, W)`` or ``(H, W, C)``, uint8, uint16 or float.
        targets: class of each pixel, each ``(H, W)`` uint8; 0 is background (in EM: membrane), `IGNORED` unknown.
        instances: cell of each pixel, each ``(H, W)`` int32; 0 is background. Numbers are unique in
            a slice; from slice to slice the same number may or may not mean the same cell.
        names: one name a slice, used in score tables and file names.
        files: the file of each slice, for a split that keeps neighbours together; None: all are of one.
    """

    images: Slices
    targets: Slices
    instances: Slices
    names: list[str]
    files: list[str] | None = None

    def __post_init__(self):
        parts = {"images": self.images, "targets": self.targets, "instances": self.instances}
        shapes = {name: [each.shape[:2] for each in slices] for name, slices in parts.items()}
        equal = shapes["images"] == shapes["targets"] == shapes["instances"]
        if not equal or len(self.names) != len(self.images):
            got = ", ".join(f"{len(each)} {name} of {sorted(set(each))}" for name, each in shapes.items())
            raise ValueError(
                f"expected images, targets, instances and names of equal size, but got {got}, {len(self.names)} names"
            )

    def __len__(self) -> int:
        return len(self.names)

    def take(self, numbers: list[int]) -> "Stack":
        """The slices at ``numbers``, in that order."""
        parts = (self.images, self.targets, self.instances)
        chosen = [
            slices[numbers] if isinstance(slices, np.ndarray) else [slices[number] for number in numbers]
            for slices in parts
        ]
        return Stack(*chosen, *(names and [names[number] for number in numbers] for names in (self.names, self.files)))

    @property
    def content(self) -> str:
        """A hash of images and targets."""
        parts = (self.images, self.targets)
        return content_hash(*(each for part in parts for each in ([part] if isinstance(part, np.ndarray) else part)))


def stacked(slices: list[np.ndarray]) -> Slices:
    """One array where all slices have one shape, else the list."""
    return np.stack(slices) if len({each.shape for each in slices}) == 1 else slices
