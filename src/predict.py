"""Segment images with a trained network: ``python -m src.predict checkpoint=FILE input=PATH output=DIR``.

A prediction is written block by block to a hidden file or folder next to the final one. So an image may be larger than
memory, the same command continues after an interruption, and several processes may share an image.
"""

from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from src import command
from src.arguments import check_choice, check_probability
from src.saying import say


@command.verb("predict", lambda directory: "the same command continues")
def main(config: DictConfig) -> None:
    """Open the trained networks and the images, and predict the images one after another."""
    from src import build
    from src.ensemble import opened
    from src.estimating import asked as estimated
    from src.files.channels import put_together
    from src.instances import with_boundary
    from src.model.trained import common_average, common_precision, common_reading
    from src.predicting import predict_all, sweep
    from src.prediction.job import Wishes
    from src.prediction.names import input_files
    from src.prediction.outlook import Outlook
    from src.prediction.predictor import Predictor
    from src.prediction.rescaling import scale
    from src.run.device import formats, inference, middle_channels

    check_choices(config)
    listed = isinstance(config.checkpoint, ListConfig)
    trained, decoder, calibration = opened(config.checkpoint if listed else [config.checkpoint])
    training = [row for each in trained for row in each.appearance]
    asked = calibration.for_calibrated(decoder)  # the user's threshold applies to the probabilities as written
    if config.threshold != "auto":
        asked = replace(asked, threshold=config.threshold)
    if "instances" in config:
        asked = replace(asked, numbering=with_boundary(build.make(config, "instances"), decoder.numbering))
    decoder = calibration.for_uncalibrated(asked) if "instances" in config or config.threshold != "auto" else decoder
    tta = common_average(trained) if config.tta == "auto" else config.tta
    scored, precision = common_precision(trained), str(config.precision)
    device, dtype = inference(precision, middle_channels(trained[0].model), scored)
    reading = replace(common_reading(trained), **({"axes": config.axes} if config.axes else {}))
    tile = None if config.tile == "auto" else config.tile
    predictor = Predictor([each.model for each in trained], device, dtype, tta, tile, config.engine)
    files, labels = input_files(config.input)
    if labels:
        several = f", {labels[1].name} …" if len(labels) > 1 else ""
        say(f"note: {len(labels)} files are left out as labels: {labels[0].name}{several}; input='{config.input}/*'")
    inputs = put_together(files, predictor.in_channels)
    sweep(Path(config.output), inputs)
    wishes = Wishes(
        **{name: config[name] for name in ("format", "shard", "shards", "verify", "overwrite", "seed")},
        output=Path(config.output),
        calibration=calibration,
        estimates=estimated(config, trained, calibration),
        formats=formats(precision, scored),
        write=tuple(config.write),
        scale=scale(config.rescale, config.pixel_size, training),
        channels=(config.channels,) if isinstance(config.channels, int) else config.channels and tuple(config.channels),
    )
    failures = command.Failures(len(inputs), config.debug)
    predict_all(inputs, reading, predictor, decoder, wishes, trained[0].legend, failures, Outlook(training))
    failures.check("predicted")


def check_choices(config: DictConfig) -> None:
    """Refuse invalid values in the configuration before any file is read.

    Raises:
        ValueError: a value is refused; the message names its key and valid values.
        FileExistsError: ``output`` is a file.
    """
    from src.files.names import OUTPUTS
    from src.model.engine import ENGINES
    from src.tiles.symmetry import AVERAGES

    check_choice("tta", config.tta, ("auto", *AVERAGES))
    check_choice("precision", str(config.precision), ("auto", "32", "bf16"))
    check_choice("engine", config.engine, ("auto", *ENGINES))
    check_choice("format", config.format, ("auto", "tif", "zarr"))
    for kind in config.write or [None]:
        check_choice("write", kind, OUTPUTS)
    if config.threshold != "auto":
        check_probability("threshold", config.threshold)
    if config.tile != "auto" and not isinstance(config.tile, int):
        raise ValueError(f"expected tile to be auto or a number of pixels, but got {config.tile}; nearest valid: auto")
    if not 0 <= config.shard < config.shards:
        got = f"{config.shard} of {config.shards}"
        raise ValueError(f"expected shards ≥ 1 and shard from 0 to shards − 1, but got {got}")
    if Path(config.output).is_file():
        raise FileExistsError(f"expected output to be a folder, but {config.output} is a file")


if __name__ == "__main__":
    command.run(main, "predict")
