"""Writing of calibrated probabilities; labels are computed from the uncalibrated ones."""

from pathlib import Path

from src.metrics.calibration import Calibration
from src.prediction.rescaling import Returned
from src.prediction.store import Held, Store


def write_calibrated(
    final: Path, probabilities: Store | Held | Returned, calibration: Calibration, made_from: str
) -> None:
    """Write calibrated probabilities, block by block, without changing ``probabilities``.

    Args:
        final: the file or folder to write to.
        probabilities: the uncalibrated probabilities, at the size of the image in its file.
        calibration: calibrates the probability of cell.
        made_from: identifies everything that the calibrated probabilities depend on.
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
