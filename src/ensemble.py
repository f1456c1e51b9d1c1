"""Open several trained networks, with the decoder and the calibration of the mean of their probabilities."""

from collections.abc import Sequence
from pathlib import Path

from src.build import cause
from src.files.limits import check_plain, reason
from src.files.reading import read_json
from src.instances import Decoder
from src.metrics.calibration import Calibration
from src.model.trained import Trained, common_decoder
from src.restore import made_numbering, restore
from src.run.folds import ENSEMBLE, Ensemble


def opened(checkpoints: Sequence[str]) -> tuple[list[Trained], Decoder, Calibration]:
    """Open trained networks, with the decoder and the calibration of the mean of their probabilities.

    Args:
        checkpoints: checkpoint files, or a single directory of a cross-validation, whose decoder and calibration were
            chosen on out-of-fold predictions.

    Returns:
        The networks; the decoder that makes labels from their mean probabilities; and the calibration to apply to the
        mean probabilities before they are saved. For checkpoint files it is the identity.

    Raises:
        ValueError: a checkpoint or the file of the cross-validation is missing or damaged.
        OSError: a file cannot be read.
    """
    directory = Path(checkpoints[0])
    if len(checkpoints) > 1 or not directory.is_dir():
        trained = [restore(checkpoint) for checkpoint in checkpoints]
        return trained, common_decoder(trained), Calibration()
    file = directory / ENSEMBLE
    if not file.exists():
        near = directory / "checkpoints" / "best.ckpt"
        raise ValueError(
            f"expected a checkpoint or a finished cross-validation, but got the directory {directory}; "
            f"nearest valid: {near if near.exists() else 'the same directory, when src.crossval has finished'}"
        )
    content = read_json(file, Ensemble)
    files = [(directory / name).resolve() for name in content["checkpoints"]]
    outside = [each for each in files if not each.is_relative_to(directory.resolve())]
    if outside:
        raise ValueError(f"expected checkpoints in {directory}, but {file} names {outside[0]}")
    try:
        check_plain(content, ENSEMBLE)
        decoder = Decoder(made_numbering("instances", content["instances"]), content["threshold"])
        calibration = Calibration(**{key: content["calibration"][key] for key in ("temperature", "shift")})
    except Exception as error:  # a component may raise any error when its arguments are wrong
        raise ValueError(
            f"expected a file written by src.crossval, but {file} is not one: {reason(cause(error))}"
        ) from error
    return [restore(each) for each in files], decoder, calibration
