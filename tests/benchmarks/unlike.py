"""How many images `src.predict` warns of: of held-out images, which are like the training images, and of changed ones.

DATA_DIR=data python -m tests.benchmarks.unlike
"""

import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import yaml

from src import CONF
from src.data.appearance import Appearance, of_slice, unlike
from src.data.folder import read_folder
from src.data.phantom import phantom
from src.data.public import isbi2012
from src.data.split import split
from src.data.stack import Stack
from src.files.grey import range_of, with_channels

SCALING = "objects"


def noisy(image: np.ndarray, share: float) -> np.ndarray:
    """The image with noise of a share of its grey range."""
    low, high = range_of(image, SCALING)
    found = image + np.random.default_rng(0).normal(0, share * (high - low), image.shape)
    return np.clip(np.rint(found), 0, np.iinfo(image.dtype).max).astype(image.dtype)


def faint(image: np.ndarray) -> np.ndarray:
    """The image with a grey range of ten levels."""
    low, high = range_of(image, SCALING)
    return np.clip(100 + 10 * (image - low) / (high - low), 0, 255).astype(image.dtype)


CHANGES = {
    "as they are": lambda image: image,
    "half the exposure": lambda image: image // 2,
    "blurred by 1 px": lambda image: cv2.GaussianBlur(image, (0, 0), 1),
    "blurred by 2 px": lambda image: cv2.GaussianBlur(image, (0, 0), 2),
    "inverted": lambda image: ~image,
    "noise of a tenth": lambda image: noisy(image, 0.1),
    "noise of a fifth": lambda image: noisy(image, 0.2),
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "double the size": lambda image: cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC),
    "ten grey levels": faint,
}


def data_sets(root: Path) -> dict[str, tuple[Stack, Stack]]:
    """Training images, and validation and held-out images, by the name of the data set."""
    nuclei = yaml.safe_load((CONF / "data/nuclei.yaml").read_text())
    sources = {
        "isbi": (isbi2012(root), {"train": "0-19", "validation": "21-22", "held_out": "24-29"}),
        "phase": (
            read_folder(root / "phase_t98g", "instances"),
            {"train": "0-1,3-9,12", "validation": "10,13", "held_out": "2,11,14"},
        ),
        "nuclei": (
            read_folder(root / "nuclei_fluo", "instances"),
            {part: nuclei[part] for part in ("train", "validation", "held_out")},
        ),
        "demo": (phantom(), {"train": "0-19", "validation": "21-22", "held_out": "24-29"}),
    }
    found = {}
    for name, (stack, parts) in sources.items():
        numbers = split(parts, stack.names, stack.files, stack.parts)
        found[name] = stack.take(numbers["train"]), stack.take(numbers["validation"] + numbers["held_out"])
    return found


def measured(stack: Stack, change=CHANGES["as they are"]) -> list[Appearance]:
    """What the images of a stack look like after a change, without the size of their cells."""
    images = [change(with_channels(image, 1)) for image in stack.images]
    return [of_slice(image, np.zeros(image.shape[:2], int), SCALING) for image in images]


def shown(name: str, warnings: list[dict[str, str]]) -> None:
    """A row: how many images are warned of, and why."""
    reasons = Counter(reason for each in warnings for reason in each)
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    print(f"  {name:20} {sum(map(bool, warnings)):3} of {len(warnings):3}  {listed}", flush=True)


def main() -> None:
    """Print a table for each data set."""
    sets = data_sets(Path(os.environ["DATA_DIR"]))
    training = {name: measured(learnt) for name, (learnt, _) in sets.items()}
    others = {name: measured(other) for name, (_, other) in sets.items()}
    for name, rows in training.items():
        print(f"{name}: {len(rows)} training images")
        shown("each of them, left out", [unlike(row, rows[:n] + rows[n + 1 :]) for n, row in enumerate(rows)])
        for change, make in CHANGES.items():
            shown(change, [unlike(row, rows) for row in measured(sets[name][1], make)])
        for other in others.keys() - {name}:
            shown(f"images of {other}", [unlike(row, rows) for row in others[other]])


if __name__ == "__main__":
    main()
