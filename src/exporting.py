"""Write an exported network, compare its output with that of `src.predict`, and give the files their final names."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import yaml

from src import CONF, build
from src.build import Config
from src.data.phantom import phantom
from src.data.split import split
from src.data.stack import Stack
from src.exports import as_bioimageio, as_onnx, as_torch
from src.exports.compared import ALLOWED, Example, difference, example
from src.exports.described import SCALINGS, Leaving, halo
from src.exports.rdf import Named
from src.files.channels import open_together, put_together
from src.files.channels import with_channels as choose_channels
from src.files.grey import grey_range, with_channels
from src.files.image import Image
from src.files.incomplete import beside, sweep_beside
from src.files.kept import stamped
from src.files.whole import write_text
from src.model.trained import Trained
from src.prediction.names import input_files
from src.run.directory import read_config

ENDINGS = {"onnx": ".onnx", "torchscript": ".pt", "bioimageio": ".zip"}  # file name endings, by format
BESIDE = (".safetensors", ".yaml", ".py")  # endings of files next to it: weights, description, source code
MOST_IMAGES = 64  # at most, from which a fixed range of grey values is measured

Source = tuple[Path, ...] | np.ndarray  # the files of an image, or its pixels


def target(output: Path, format: str, overwrite: bool) -> Path:
    """Return the file to export to: ``output``, or a file named ``model`` in ``output`` if ``output`` is a folder.

    Raises:
        ValueError: ``output`` has the ending of another format.
        FileExistsError: one of the files of the export exists, and ``overwrite`` is False.
    """
    ending, given = ENDINGS[format], output.suffix.lower()
    if given in ENDINGS.values() and given != ending and not output.is_dir():
        nearest = output.with_suffix(ending)
        raise ValueError(f"expected output to end in {ending}, or a folder, but got {output}; nearest valid: {nearest}")
    file = output if given == ending and not output.is_dir() else output / f"model{ending}"
    there = [str(each) for each in (file, *map(file.with_suffix, BESIDE)) if each.exists()]
    if there and not overwrite:
        raise FileExistsError(f"expected no earlier export, but got {', '.join(there)}; overwrite=true replaces it")
    return file


def prepared(
    checkpoint: Path, trained: Trained, images: str | None, fixed: bool, mirrored: bool = False
) -> tuple[Leaving, Example]:
    """Prepare a network for export, and an image on which the export will be compared with `src.predict`.

    Args:
        checkpoint: the checkpoint file; its run directory names the training images.
        trained: the content of the checkpoint.
        images: a file, a folder or a pattern of file names; None: the training images if they can still be read, or
            else a synthetic micrograph.
        fixed: whether the exported network itself scales grey values, by the median range of the images.
        mirrored: whether the exported network mirrors an image at its borders.

    Raises:
        ValueError: an image does not fit the network, or there are no images to measure a fixed range on.
        OSError: a file cannot be read.
    """
    sources, name = _sources(checkpoint, trained, images)
    grey_values = None
    if fixed:
        if not name:
            raise ValueError("expected images to measure a fixed range on, but got none; nearest valid: images=DIR")
        grey_values = fixed_range([_range(each, trained) for each in sources])
    with _opened(sources[0], trained) as image:
        size = {axis: image.pixel_size[axis] for axis in "YX" if axis in image.pixel_size}
        leaving = Leaving(trained, grey_values, size, mirrored)
        return leaving, example(leaving, image, name or "a synthetic micrograph")


def fixed_range(ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return one range of grey values for all images, from the median lower end to the median upper end.

    Args:
        ranges: the lower and the upper end of the range of each image.

    Raises:
        ValueError: the upper end of the resulting range is not above its lower end.
    """
    low, high = (median(each) for each in zip(*ranges, strict=True))
    if not low < high:
        raise ValueError(
            f"expected images with contrast, but their range is {low:g} to {high:g}; nearest valid: images=DIR"
        )
    return low, high


def _range(source: Source, trained: Trained) -> tuple[float, float]:
    with _opened(source, trained) as image:
        return grey_range(image, 0)


def _sources(checkpoint: Path, trained: Trained, images: str | None) -> tuple[list[Source], str]:
    """Return images as files or arrays, and the name of the first one, which is empty if the image is synthetic."""
    channels = trained.model.in_channels
    if images is not None:
        files = put_together(input_files(images)[0], channels)
        return [*files[:MOST_IMAGES]], files[0][0].name
    if stack := _learnt_from(checkpoint, trained):
        return list(stack.images[:MOST_IMAGES]), stack.names[0]
    return [np.moveaxis(np.asarray(phantom(slices=max(channels, 2), size=256).images[:channels]), 0, -1)], ""


def _learnt_from(checkpoint: Path, trained: Trained) -> Stack | None:
    """Return the training images of a network, or None if they cannot be read from where its run found them."""
    with suppress(Exception):  # the run directory may hold any file, and the data may have changed
        data = read_config(checkpoint.absolute().parent.parent)["data"]
        source, folder = data["source"], data.get("folder") or data.get("root")
        if _is_reader(source) and (folder is None or stamped(Path(folder))):  # so that nothing is downloaded
            stack: Stack = build.make({"source": source}, "source")()
            parts = {part: str(data[part]) for part in ("train", "validation", "held_out")}
            numbers = split(parts, stack.names, stack.files, stack.parts, data.get("groups"))
            learnt = stack.take(numbers["train"])
            images = [with_channels(image, trained.model.in_channels) for image in learnt.images]
            if all(np.atleast_3d(image).shape[2] == trained.model.in_channels for image in images):
                return replace(learnt, images=images)
    return None


def _is_reader(source: Config) -> bool:
    """Return whether the source of data in an untrusted configuration calls only a reader that ``conf/data`` calls."""
    known = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in (CONF / "data").glob("*.yaml")]
    targets = {each["source"]["_target_"] for each in known if "source" in each}
    flat = [part for value in source.values() for part in (value if isinstance(value, list) else [value])]
    return source["_target_"] in targets and not any(isinstance(part, dict | list) for part in flat)


@contextmanager
def _opened(source: Source, trained: Trained) -> Iterator[Image]:
    if isinstance(source, np.ndarray):
        yield Image(Path("slice"), source, "YXC"[: source.ndim], scaling=trained.reading.scaling)
        return
    with closing(open_together(source, trained.reading)) as image:
        yield choose_channels(image, None, trained.model.in_channels)


def exported(leaving: Leaving, example: Example, format: str, file: Path, named: Named) -> Iterator[str]:
    """Write the files of an export, open each again, and give them their final names if their output is correct.

    Args:
        leaving: the network with the options of its export.
        example: an image with the probabilities that `src.predict` computes for it.
        format: the format, one of `ENDINGS`.
        file: the file to write the network to; its weights and description are written next to it.
        named: name, authors and licence of the network, for formats that store them.

    Yields:
        A line for each file with the largest difference of a probability from `src.predict`.

    Raises:
        ValueError: a difference exceeds `ALLOWED`; then no file remains.
    """
    with _together(file) as folder:
        for made, runtime, shown, found in _opened_again(leaving, example, format, folder / file.name, named):
            if not found <= ALLOWED:
                raise ValueError(
                    f"expected {made.name} to differ from src.predict by at most {ALLOWED:g}, but got {found:.1e} "
                    f"({runtime})"
                )
            yield (
                f"{file.with_name(made.name)}: largest difference from src.predict {found:.1e} ({shown.name}, "
                f"{shown.expected.shape[1]}×{shown.expected.shape[2]} px, {runtime})"
            )


def _opened_again(
    leaving: Leaving, example: Example, format: str, file: Path, named: Named
) -> Iterator[tuple[Path, str, Example, float]]:
    """Write the files of an export; yield each with its runtime, the compared image, and the largest difference."""
    tiled = f"tile by tile by PyTorch {version('torch')}"
    if format == "onnx":
        as_onnx.save(as_onnx.onnx_model(leaving), file)
        found = difference(leaving, as_onnx.runtime(file), example)
        yield file, f"tile by tile by ONNX Runtime {version('onnxruntime')}", example, found
    elif format == "torchscript":
        as_torch.save_script(leaving, file)
        yield file, f"{tiled}, TorchScript", example, difference(leaving, as_torch.script_runtime(file), example)
    else:
        shown = as_bioimageio.fitting(leaving, example)
        as_bioimageio.write(leaving, named, shown, file)
        for kind, found in as_bioimageio.differences(file, shown, leaving.trained.model.depth).items():
            yield file, f"bioimageio.core {version('bioimageio.core')}, {kind}", shown, found
    weights = file.with_suffix(".safetensors")
    as_torch.save_weights(leaving, weights)
    compute = as_torch.weights_runtime(weights, leaving.architecture())
    yield weights, tiled, example, difference(leaving, compute, example)
    write_text(file.with_suffix(".yaml"), yaml.safe_dump(leaving.description(), sort_keys=False, allow_unicode=True))


def remarks(leaving: Leaving, example: Example, format: str, named: Named) -> Iterator[str]:
    """Yield notes for users who open the exported network in programs other than `src.predict`."""
    trained, scaling = leaving.trained, SCALINGS[leaving.trained.reading.scaling]
    if leaving.grey_range:
        low, high = leaving.grey_range
        yield (
            f"the network takes grey values as stored in the file; {low:g} becomes 0 and {high:g} becomes 1 in every "
            f"image. It segments images brighter or darker than the training images worse"
        )
    elif format == "bioimageio":
        found = as_bioimageio.scaled_otherwise(leaving, as_bioimageio.fitting(leaving, example))
        yield f"readers scale each image so that {SCALINGS['percentiles']}" + (
            f". src.predict scales {example.name} differently, and its probabilities differ by up to {found:.1e} there"
            if found > ALLOWED
            else ""
        )
    else:
        yield f"the network takes grey values from 0 to 1; its reader must scale each image: {scaling}"
    if format == "bioimageio":
        yield (
            f"within {halo(trained.model.depth)} px of the border of an image, readers that mirror differently from "
            f"src.predict, such as bioimageio.core 0.11, give other probabilities"
        )
    if format == "bioimageio" and not (named.authors and named.license):
        yield "name the authors and the licence before publishing: 'authors=[Ada Lovelace]' license=CC-BY-4.0"
    if trained.tta != "none":
        yield f"it was scored with tta={trained.tta}; readers other than src.predict compute one pass"


@contextmanager
def _together(file: Path) -> Iterator[Path]:
    """Yield a temporary folder; afterwards, move its files to the folder of ``file``, or delete them after an error.

    ``file`` itself is moved last, so that the other files are complete when it appears.
    """
    parent = next(each for each in file.absolute().parents if each.exists())
    sweep_beside(parent, {file.name})
    folder = beside(parent / file.name)
    folder.mkdir()
    try:
        yield folder
        file.parent.mkdir(parents=True, exist_ok=True)
        for each in sorted(folder.iterdir(), key=lambda each: each.name == file.name):
            each.replace(file.with_name(each.name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
