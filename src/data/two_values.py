"""Restores the two values of binary masks to which smoothing or JPEG compression has added other values."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import tifffile

from src.data.annotated import Annotated, read_pair
from src.data.description import EDGE, describe
from src.data.finding import NOTE, Finding, Refused
from src.data.matching import Pair, requested_reading
from src.data.numbers import drawn, unreadable
from src.files.arrays import value_counts
from src.files.image import in_memory

JPEG = (".jpg", ".jpeg")
WHITE = 255
ALTERED = 32  # largest change in grey levels that JPEG makes to a mask away from edges
MOST_ALONG_EDGES = 0.4  # largest share of a mask's pixels that may be neither black nor white
NEAR_BOTH = 0.9  # smallest share of these pixels that must lie near both black and white


class TwoValues:
    """A reader of image and label files that restores the two values of smoothed masks; see `annotated.read_pair`.

    Args:
        scratch: a temporary folder, in which masks restored from JPEG files are saved.

    Attributes:
        pairs: all pairs that have been read without error, by name; if a name was read twice, the later pair.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.pairs: dict[str, Pair] = {}

    def __call__(self, pair: Pair) -> list[Annotated]:
        """Read the annotated images in an image file and its label file.

        Raises:
            Refused: `read_pair` refuses the files, or the labels are a JPEG that is not a mask.
        """
        is_jpeg = pair.labels.suffix.lower() in JPEG and not pair.form.parts
        slices = self._without_jpeg(pair) if is_jpeg else without_smoothing(read_pair(pair))
        self.pairs[pair.name] = pair
        return slices

    def _without_jpeg(self, pair: Pair) -> list[Annotated]:
        try:
            found = drawn(in_memory(pair.labels), pair.labels, requested_reading(pair.orientation, pair.axes))
        except Refused:
            raise
        except (ValueError, OSError) as error:
            raise Refused(unreadable(pair.labels, error)) from error
        mask = None if found.in_colours else black_and_white(found.numbers)
        if mask is None:
            return read_pair(pair)  # which refuses JPEG labels
        between = self.scratch / f"{pair.name}.tif"
        tifffile.imwrite(between, mask)
        try:
            slices = read_pair(replace(pair, labels=between))
        except Refused as refused:
            raise Refused(_of_labels(refused.finding, between, pair)) from refused
        notes = [_of_labels(note, between, pair) for note in slices[0].notes]
        return _noted(slices, pair, notes, "jpeg-label", "a JPEG, which alters the values", "the nearer of 0 and 255")


def _of_labels(finding: Finding, between: Path, pair: Pair) -> Finding:
    """Return a finding with the label file of the pair in place of the temporary file ``between``."""
    return replace(finding, file=str(pair.labels)) if finding.file == str(between) else finding


def _noted(
    slices: Sequence[Annotated], pair: Pair, notes: Sequence[Finding], code: str, found: str, taken: str
) -> list[Annotated]:
    """Return the images of a pair; the first image carries the notes and a new note about the label file."""
    note = Finding(code, NOTE, str(pair.labels), found, taken, "nothing, if that is meant")
    return [replace(each, pair=pair, notes=() if place else (*notes, note)) for place, each in enumerate(slices)]


def without_smoothing(slices: list[Annotated]) -> list[Annotated]:
    """Set each label pixel in the images of a pair to the nearer of two values if the labels are a smoothed mask."""
    labels = np.stack([each.labels for each in slices])
    values, counts = value_counts(labels.reshape(-1, labels.shape[-1]))
    if slices[0].in_colours or len(values) <= 4 or not any(describe(plane).smoothed for plane in labels):
        return slices
    low, high = sorted(int(value) for value in values[np.argsort(-counts, kind="stable")[:2]])
    mask = np.where(labels > (low + high) / 2, high, low).astype(labels.dtype)
    sharp = [replace(each, labels=plane) for each, plane in zip(slices, mask, strict=True)]
    found = f"values between {low} and {high}, as smoothing leaves them"
    return _noted(sharp, slices[0].pair, slices[0].notes, "smoothed-label", found, f"the nearer of {low} and {high}")


def black_and_white(grey: np.ndarray) -> np.ndarray | None:
    """Restore a mask of 0 and 255 from a decoded JPEG ``(H, W)`` uint8; None if the JPEG does not look like a mask."""
    if grey.ndim != 2 or grey.dtype != np.uint8:
        return None
    black, white = grey <= ALTERED, grey >= WHITE - ALTERED
    between = ~(black | white)
    if between.mean() > MOST_ALONG_EDGES:
        return None
    near = np.ones((2 * EDGE + 1,) * 2, np.uint8)
    both = (cv2.dilate(black.astype(np.uint8), near) > 0) & (cv2.dilate(white.astype(np.uint8), near) > 0)
    if between.any() and both[between].mean() < NEAR_BOTH:
        return None
    return np.where(grey > WHITE // 2, np.uint8(WHITE), np.uint8(0))
