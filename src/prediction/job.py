"""One image: from its file to what was asked for of it."""

import dataclasses
import errno
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from src.files.grey import check_finite
from src.files.image import Image, has_equal_channels
from src.files.legend import NUMBERS, Legend, plain
from src.files.names import OUTPUTS
from src.files.stored import OF_PREDICT
from src.instances import Decoder
from src.metrics.calibration import Calibration
from src.prediction.calibrating import write_calibrated
from src.prediction.labelling import write_labels
from src.prediction.names import prediction_file
from src.prediction.predictor import Predictor, verify
from src.prediction.store import IN_MEMORY, Held, Store, drop, has_blocks, made_from, unfinished

MEASURED_FROM = 2**26  # pixels of an image from which it pays to find out the fastest tile
LARGEST_TIFF = 2**28  # pixels; a larger image becomes a Zarr, which opens at once
AS_PREDICTED = Calibration()  # which changes nothing
PREDICTED = "predicted"  # what is kept of probabilities before they are calibrated
KINDS = (*OUTPUTS, PREDICTED)


@dataclasses.dataclass(frozen=True)
class Wishes:
    """What is asked for of each image.

    Attributes:
        output: a folder.
        write: some of `files.names.OUTPUTS`.
        format: tif, zarr or auto.
        formats: of numbers that may be chosen on any machine: a prediction goes on in that in which it was begun.
        channels: which to read; None reads all.
        shard: which of the processes that share an image this is, from 0.
        shards: how many there are.
        verify: whether tiles are compared with one pass first, on a window that ``seed`` chooses.
        overwrite: whether a result of something else may be replaced.
        seed: of that window.
        calibration: of the probabilities that are written; labels are made of those before it.
    """

    output: Path
    write: tuple[str, ...]
    format: str = "auto"
    formats: tuple[torch.dtype, ...] = ()
    channels: tuple[int, ...] | None = None
    shard: int = 0
    shards: int = 1
    verify: bool = False
    overwrite: bool = False
    seed: int = 0
    calibration: Calibration = AS_PREDICTED


@dataclasses.dataclass(frozen=True)
class Begun:
    """A prediction of which nothing is left but to compute and to write it.

    Attributes:
        image: with the channels that the network takes.
        probabilities: what they are written into.
        dtype: number format to compute in.
        finals: the file or folder of each kind of result …
        sources: … and what it is made from.
        decoder: makes labels of probabilities.
        wishes: what is asked for.
        legend: of the classes.
    """

    image: Image
    probabilities: Store | Held
    dtype: torch.dtype
    finals: dict[str, Path]
    sources: dict[str, str]
    decoder: Decoder
    wishes: Wishes
    legend: Legend

    @property
    def small(self) -> bool:
        """Whether it is predicted in a moment, and may wait for others."""
        return isinstance(self.probabilities, Held)


def begin(
    image: Image, predictor: Predictor, decoder: Decoder, wishes: Wishes, legend: Legend = NUMBERS
) -> Begun | str:
    """Get ready to predict one image, or to go on with it; → what has become of it, if that is done already.

    Raises:
        ValueError: the image does not fit the network.
        FileExistsError: a result lies there that was made from something else.
    """
    image = with_channels(image, wishes.channels, predictor.in_channels)
    ending = suffix(image, wishes.format)
    grows = "probabilities" if wishes.calibration == AS_PREDICTED else PREDICTED
    kinds = dict.fromkeys((*OUTPUTS, grows))
    finals = {kind: prediction_file(wishes.output, image.name, kind, ending) for kind in kinds}
    begun = {made_from(each) for final in finals.values() for each in (final, unfinished(final)) if each.exists()}
    for dtype in wishes.formats:
        if begun & set(recipes(image, decoder, predictor, legend, dtype, wishes.calibration).values()):
            predictor.dtype = dtype
    sources = recipes(image, decoder, predictor, legend, predictor.dtype, wishes.calibration)
    wanted = {kind: finals[kind] for kind in wishes.write}
    if not wishes.overwrite and all(made_from(file) == sources[kind] for kind, file in wanted.items()):
        return f"{image.file} is predicted already: {', '.join(map(str, wanted.values()))}"
    make_room(finals, wanted, sources, wishes.overwrite)
    maps = predictor.classes if predictor.classes > 2 else 1
    if ending == ".tif" and not any(unfinished(file).exists() for file in finals.values()):
        check_disk(wishes.output, 4 * image.pixels * (maps * ("probabilities" in wanted) + ("labels" in wanted)))
    if predictor.tile is None and image.pixels > MEASURED_FROM and wishes.shards == 1:  # shards take the same tile
        predictor.measure_tile(max(image.height, image.width))

    side = predictor.block_side(image.height, image.width)
    image = image.in_memory() if image.array.nbytes <= IN_MEMORY else image
    final, source = finals[grows], sources[grows]
    held = wishes.shards == 1 and Held.takes(final, image, side)
    probabilities = Held(final, image, maps, source) if held else Store(final, image, maps, "float32", side, source)
    if wishes.verify:
        verify(image, predictor, wishes.seed)
    if held:
        check_finite(image.band(0, 0, image.height), image.file)
    return Begun(image, probabilities, predictor.dtype, finals, sources, decoder, wishes, legend)


def finish(begun: Begun) -> str:
    """Write what is asked for of an image whose probabilities are computed; → what has become of it."""
    image, probabilities, wishes = begun.image, begun.probabilities, begun.wishes
    if probabilities.missing() or (wishes.shards > 1 and not probabilities.claim()):
        return (
            f"{image.file}: shard {wishes.shard} of {wishes.shards} is done; the last one to end writes the result "
            f"(if that was interrupted, the same command without shards does)"
        )
    try:
        if "labels" in wishes.write:
            write_labels(begun.finals["labels"], probabilities, begun.decoder, begun.sources["labels"], begun.legend)
        if "probabilities" in wishes.write and wishes.calibration != AS_PREDICTED:
            final, source = begun.finals["probabilities"], begun.sources["probabilities"]
            write_calibrated(final, probabilities, wishes.calibration, source)
        if begun.finals.get(PREDICTED) or "probabilities" not in wishes.write:
            probabilities.discard()
        else:
            probabilities.finish()
    finally:
        probabilities.release()
    return f"{image.file} → {', '.join(str(begun.finals[kind]) for kind in wishes.write)}"


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
        image = image.choose(tuple(channels))
    elif expected == 1 and stored == 3 and has_equal_channels(image):
        image = image.choose((0,))
    elif image.unclear and expected == 1:
        raise ValueError(
            f"expected slices or channels, but got {image.array.shape[0]} planes in {image.file}, tagged as colours; "
            f"nearest valid: axes=ZYX for slices, channels=0 for the first channel"
        )
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


def recipes(
    image: Image,
    decoder: Decoder,
    predictor: Predictor,
    legend: Legend,
    dtype: torch.dtype,
    calibration: Calibration = AS_PREDICTED,
) -> dict[str, str]:
    """Of each kind of result, a name for all that it depends on: networks, image and choices."""
    seen = [str(image.file.resolve()), image.file.stat().st_size, image.file.stat().st_mtime_ns, image.channels]
    seen += [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in image.parts[1:]]
    seen += [image.axes, image.negative, image.array.shape, image.scaling]
    common = [predictor.weights, seen, predictor.tta, str(dtype)]
    numbering = decoder.numbering
    labelled = [decoder.threshold, type(numbering).__name__.lower(), dataclasses.asdict(numbering)]
    labelled += [plain(legend)] if legend != NUMBERS else []  # so that results of earlier versions are known again
    of_kinds = {"probabilities": common, "labels": [common, labelled]}
    if calibration != AS_PREDICTED:
        of_kinds |= {PREDICTED: common, "probabilities": [common, dataclasses.asdict(calibration)]}
    hashed = {
        kind: hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
        for kind, parts in of_kinds.items()
    }
    return {kind: f"{OF_PREDICT} {kind} {digest}" for kind, digest in hashed.items()}


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
