"""Calibrated probabilities, written beside labels that are made of those before calibration."""

from pathlib import Path

from src.metrics.calibration import Calibration
from src.prediction.store import Held, Store


def write_calibrated(final: Path, probabilities: Store | Held, calibration: Calibration, made_from: str) -> None:
    """Write probabilities calibrated, block by block; those that were predicted stay as they are for labels.

    Args:
        final: the file or folder.
        probabilities: as they were predicted.
        calibration: of the probability of cell.
        made_from: names what the result depends on.
    """
    image, classes = probabilities.image, probabilities.classes
    if isinstance(probabilities, Held):
        calibrated: Store | Held = Held(final, image, classes, made_from)
    else:
        calibrated = Store(final, image, classes, "float32", probabilities.side, made_from)
    for plane, window in calibrated.missing():
        calibrated.write(plane, window, calibration(probabilities.read(plane, window)))
    calibrated.finish()
