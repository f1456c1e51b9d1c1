"""Calibrated probabilities, written beside labels that are made of those before calibration."""

from pathlib import Path

from src.metrics.calibration import Calibration
from src.prediction.rescaling import Returned
from src.prediction.store import Held, Store


def write_calibrated(
    final: Path, probabilities: Store | Held | Returned, calibration: Calibration, made_from: str
) -> None:
    """Write probabilities calibrated, block by block; those that were predicted stay as they are for labels.

    Args:
        final: the file or folder.
        probabilities: as they were predicted, or on the pixels of the image again.
        calibration: of the probability of cell.
        made_from: names what the result depends on.
    """
    image, classes, side = probabilities.image, probabilities.classes, probabilities.side
    held = Held.takes(final, image, side)
    calibrated = (
        Held(final, image, classes, made_from) if held else Store(final, image, classes, "float32", side, made_from)
    )
    for plane, window in calibrated.missing():
        values = probabilities.read(plane, window)
        calibrated.write(plane, window, values if calibration == Calibration() else calibration(values))
    calibrated.finish()
