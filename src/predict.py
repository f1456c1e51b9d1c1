"""Segment images with a trained network: ``python -m src.predict checkpoint=FILE input=PATH output=DIR``.

A prediction grows block by block in a hidden store beside its final name. So an image may be larger
than memory, the same command goes on where it was interrupted, and several processes may share it.
"""

import dataclasses
import errno
import glob
import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, ListConfig

from src import build, command
from src.files.image import SUFFIXES, Image, open_image
from src.files.incomplete import sweep_beside
from src.model.segmenter import Segmenter
from src.prediction.labelling import label
from src.prediction.names import OUTPUTS, prediction_file
from src.prediction.predictor import Predictor, fill, verify
from src.prediction.store import Store, drop, has_blocks, made_from, unfinished
from src.run.device import inference
from src.tiles.symmetry import AVERAGES

ENDINGS = (".tif", ".zarr")
MEASURED_FROM = 2**26  # pixels of an image from which it pays to find out the fastest tile
LARGEST_TIFF = 2**28  # pixels; a larger image becomes a Zarr, which opens at once


@command.verb("predict", lambda directory: "the same command goes on")
def main(config: DictConfig) -> None:
    check_choices(config)
    modules = restored(config)
    device, dtype = inference(str(config.precision))
    predictor = Predictor(modules, device, dtype, config.tta, None if config.tile == "auto" else config.tile)
    files = input_files(config.input)
    refuse_equal_names(files)
    finals = [prediction_file(Path(), stem(file), kind, end) for file in files for kind in OUTPUTS for end in ENDINGS]
    sweep_beside(Path(config.output), {final.name for final in finals})
    failures = command.Failures(len(files), config.debug)
    for file in files:
        with failures.noted(file), closing(open_image(file)) as image:
            predict_file(image, modules[0], predictor, config)
    failures.check("predicted")


def check_choices(config: DictConfig) -> None:
    """Refuse values that no choice has, before anything is read.

    Raises:
        ValueError: names the key and the choices.
    """
    command.check_choice("tta", config.tta, AVERAGES)
    command.check_choice("precision", str(config.precision), ("auto", "32", "bf16"))
    command.check_choice("format", config.format, ("auto", "tif", "zarr"))
    for kind in config.write or [None]:
        command.check_choice("write", kind, OUTPUTS)
    if config.threshold != "auto":
        command.check_probability("threshold", config.threshold)
    if config.tile != "auto" and not isinstance(config.tile, int):
        raise ValueError(f"expected tile to be auto or a number of pixels, but got {config.tile}; nearest valid: auto")
    if not 0 <= config.shard < config.shards:
        got = f"{config.shard} of {config.shards}"
        raise ValueError(f"expected shards ≥ 1 and shard from 0 to shards − 1, but got {got}")
    if Path(config.output).is_file():
        raise FileExistsError(f"expected output to be a folder, but {config.output} is a file")


def restored(config: DictConfig) -> list[Segmenter]:
    """The trained networks, the first of which numbers the cells of all."""
    checkpoints = config.checkpoint if isinstance(config.checkpoint, ListConfig) else [config.checkpoint]
    modules = [build.restore(checkpoint) for checkpoint in checkpoints]
    modules[0].threshold = float(np.mean([module.threshold for module in modules]))
    if config.threshold != "auto":
        modules[0].threshold = config.threshold
    if "instances" in config:
        modules[0].instances = build.instances(config)
    return modules


def input_files(path: str) -> list[Path]:
    """The images that ``input`` names: a file, those in a folder, or those that a pattern such as ``*.tif`` fits.

    Our own predictions are left out.

    Raises:
        FileNotFoundError: there is no image.
    """
    given = Path(path)
    if given.is_dir() and given.suffix != ".zarr":
        found = sorted(given.iterdir())
    elif given.exists() or not glob.has_magic(path):
        return [given]
    else:
        found = sorted(map(Path, glob.glob(path)))
    files = [
        file
        for file in found
        if file.suffix.lower() in SUFFIXES
        and not file.name.startswith(".")
        and not file.stem.endswith(tuple(f"_{kind}" for kind in OUTPUTS))
    ]
    if not files:
        raise FileNotFoundError(f"expected images ({', '.join(SUFFIXES)}) in {path}, but got none")
    return files


def stem(file: Path) -> str:
    """The name of an image without its endings."""
    return file.stem.removesuffix(".ome")


def refuse_equal_names(files: Sequence[Path]) -> None:
    """Stop before anything is computed if one result would replace another.

    Raises:
        FileExistsError: names the images.
    """
    names = [stem(file) for file in files]
    twice = [str(file) for file in files if names.count(stem(file)) > 1]
    if twice:
        raise FileExistsError(f"expected inputs of different names, but got {', '.join(twice)}")


def predict_file(image: Image, module: Segmenter, predictor: Predictor, config: DictConfig) -> None:
    """Write what ``config.write`` asks for of one image, or go on with it.

    Raises:
        ValueError: the image does not fit the network.
        FileExistsError: a result lies there that was made from something else.
    """
    channels = [config.channels] if isinstance(config.channels, int) else config.channels
    image = with_channels(image, channels, predictor.in_channels)
    if image.missing_chunks:
        command.warn(f"{image.missing_chunks} chunks of {image.file} are missing and are read as its fill value")
    ending = suffix(image, config.format)
    sources = recipes(image, module, predictor)
    output, name = Path(config.output), stem(image.file)
    finals = {kind: prediction_file(output, name, kind, ending) for kind in OUTPUTS}
    wanted = {kind: finals[kind] for kind in config.write}
    if not config.overwrite and all(made_from(file) == sources[kind] for kind, file in wanted.items()):
        command.say(f"{image.file} is predicted already: {', '.join(map(str, wanted.values()))}")
        return
    make_room(finals, wanted, sources, config.overwrite)
    if ending == ".tif" and not any(unfinished(file).exists() for file in finals.values()):
        maps = predictor.classes if predictor.classes > 2 else 1
        check_disk(output, 4 * image.pixels * (maps * ("probabilities" in wanted) + ("labels" in wanted)))
    if predictor.tile is None and image.pixels > MEASURED_FROM and config.shards == 1:  # shards take the same tile
        predictor.measure_tile(max(image.height, image.width))

    planes = predictor.classes if predictor.classes > 2 else 1
    side = predictor.block_side()
    probabilities = Store(finals["probabilities"], image, planes, "float32", side, sources["probabilities"])
    if config.verify:
        verify(image, predictor, config.seed)
    fill(probabilities, predictor, config.shard, config.shards)
    if probabilities.missing() or (config.shards > 1 and not probabilities.claim()):
        command.say(
            f"{image.file}: shard {config.shard} of {config.shards} is done; the last one to end writes the result "
            f"(if that was interrupted, the same command without shards does)"
        )
        return
    try:
        if "labels" in wanted:
            labels = Store(finals["labels"], image, 1, "int32", side, sources["labels"])
            label(labels, probabilities, module)
            labels.finish()
        if "probabilities" in wanted:
            probabilities.finish()
        else:
            drop(probabilities.folder)
    finally:
        probabilities.release()
    command.say(f"{image.file} → {', '.join(map(str, wanted.values()))}")


def with_channels(image: Image, channels: Sequence[int] | None, expected: int) -> Image:
    """The image with the channels that the network takes.

    Raises:
        ValueError: it has more or fewer; says how to choose.
    """
    stored = image.in_channels
    if channels is not None:
        outside = [channel for channel in channels if not 0 <= channel < stored]
        if outside:
            raise ValueError(f"expected channels from 0 to {stored - 1}, but got {outside} of {image.file}")
        image = dataclasses.replace(image, channels=tuple(channels))
    if image.in_channels != expected:
        example = ",".join(map(str, range(expected)))
        cure = f"; channels=[{example}] chooses" if channels is None and stored > expected else ""
        raise ValueError(
            f"expected {expected} channel{'s' * (expected > 1)}, but got {image.in_channels} in {image.file}, "
            f"which has shape {image.array.shape} ({image.axes}){cure}"
        )
    return image


def suffix(image: Image, chosen: str) -> str:
    """The ending of the results: as chosen, or Zarr for a Zarr and for what is too large for a handy TIFF."""
    if chosen != "auto":
        return f".{chosen}"
    return ".zarr" if image.pixels > LARGEST_TIFF or image.file.suffix == ".zarr" else ".tif"


def recipes(image: Image, module: Segmenter, predictor: Predictor) -> dict[str, str]:
    """Of each kind of result, a name for all that it depends on: networks, image and choices."""
    seen = [str(image.file.resolve()), image.file.stat().st_size, image.file.stat().st_mtime_ns, image.channels]
    common = [predictor.weights, seen, predictor.tta, str(predictor.dtype)]
    numbering = [module.threshold, module.instances.func.__name__, module.instances.keywords]
    hashed = {
        kind: hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
        for kind, parts in {"probabilities": common, "labels": [common, numbering]}.items()
    }
    return {kind: f"src.predict {kind} {digest}" for kind, digest in hashed.items()}


def check_disk(output: Path, needed: int) -> None:
    """Refuse what the disk has no room for, before it is computed.

    Raises:
        OSError: names the folder, what is needed and what is free.
    """
    folder = next(each for each in (output.absolute(), *output.absolute().parents) if each.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        sizes = f"the result needs {needed / 1e6:,.0f} MB, but {free / 1e6:,.0f} MB are free"
        raise OSError(errno.ENOSPC, f"No space left on device: {sizes}; nearest valid: another output", str(output))


def make_room(finals: dict[str, Path], wanted: dict[str, Path], sources: dict[str, str], overwrite: bool) -> None:
    """See to it that no result of something else is in the way.

    Raises:
        FileExistsError: one is, and may not be replaced.
    """
    taken = [str(file) for kind, file in wanted.items() if file.exists() and made_from(file) != sources[kind]]
    if taken and not overwrite:
        raise FileExistsError(f"expected no earlier result, but got {', '.join(taken)}; overwrite=true replaces it")
    for kind, file in finals.items():
        partial = unfinished(file)
        # Labels are made in a moment; unfinished ones of another threshold are worth nothing.
        worthless = overwrite or kind == "labels" or not has_blocks(file)
        if partial.exists() and made_from(partial) != sources[kind] and worthless:
            drop(partial)


if __name__ == "__main__":
    command.run(main)
