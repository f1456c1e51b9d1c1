"""The prediction of one image, from its file to the requested results."""

import dataclasses
import errno
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from src.data.appearance import Appearance, appearance, of_cells
from src.files.channels import with_channels
from src.files.grey import check_finite
from src.files.image import Image
from src.files.legend import NUMBERS, Legend, plain
from src.files.names import OUTPUTS
from src.files.stored import OF_PREDICT
from src.instances import Decoder
from src.metrics.calibration import Calibration
from src.prediction.calibrating import write_calibrated
from src.prediction.estimates import Estimates
from src.prediction.labelling import cells_of, label_image
from src.prediction.names import OWN_ENDINGS, prediction_file
from src.prediction.outputs import geojson, overlay, rois, table
from src.prediction.predictor import Predictor, verify
from src.prediction.rescaling import Returned, Scale
from src.prediction.store import IN_MEMORY, Held, Store, drop, has_blocks, made_from, unfinished

MEASURED_FROM = 2**26  # pixels of an image from which measuring the fastest tile pays
RESULTS = {"table": table, "rois": rois, "geojson": geojson, "overlay": overlay}  # computed from cells
LARGEST_TIFF = 2**28  # pixels; a larger image becomes a Zarr, which opens at once
AS_PREDICTED, UNSCALED = Calibration(), Scale()  # which change nothing
PREDICTED = "predicted"  # what is kept of probabilities before they are calibrated
KINDS = (*OUTPUTS, PREDICTED)


@dataclasses.dataclass(frozen=True)
class Wishes:
    """The options of a prediction.

    Attributes:
        output: the folder of the results.
        write: some of `files.names.OUTPUTS`.
        format: tif, zarr or auto.
        formats: possible number formats on any machine; a prediction is continued in the one it was begun in.
        channels: channels to read; None reads all.
        shard: number of this process among those that share an image, from 0.
        shards: number of these processes.
        verify: whether tiles are compared with one pass first, on a window that ``seed`` chooses.
        overwrite: whether results that were made from something else may be replaced.
        seed: of that window.
        calibration: of the probabilities that are written; labels are made of those before it.
        estimates: where the estimated score of each image is noted; None if none is.
        scale: the zoom with which images are predicted.
        compared: whether the appearance of images is measured.
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
    estimates: Estimates | None = None
    scale: Scale = UNSCALED
    compared: bool = False


@dataclasses.dataclass(frozen=True)
class Begun:
    """A prediction that is ready to be computed and written.

    Attributes:
        image: with the channels that the network takes, of the size at which it is predicted …
        measured: … and as on disk, with all channels, which are measured in cells.
        probabilities: what they are written into.
        dtype: number format to compute in.
        finals: the file or folder of each kind of result.
        sources: what each kind of result is made from.
        decoder: makes labels of probabilities.
        wishes: what is asked for.
        legend: of the classes.
        seen: what it looks like; empty if nobody asks. Of its cells too, when they are labelled.
    """

    image: Image
    measured: Image
    probabilities: Store | Held
    dtype: torch.dtype
    finals: dict[str, Path]
    sources: dict[str, str]
    decoder: Decoder
    wishes: Wishes
    legend: Legend
    seen: Appearance

    @property
    def returned(self) -> Store | Held | Returned:
        """The probabilities on the pixels of the image as it is on disk."""
        rescaled = (self.image.height, self.image.width) != (self.measured.height, self.measured.width)
        return Returned(self.probabilities, self.measured) if rescaled else self.probabilities

    @property
    def small(self) -> bool:
        """Whether the image is small, so that it can be predicted together with others."""
        return isinstance(self.probabilities, Held)


def begin(
    image: Image, predictor: Predictor, decoder: Decoder, wishes: Wishes, legend: Legend = NUMBERS
) -> Begun | str:
    """Prepare to predict one image, or to continue; if it is predicted already, return a message that says so.

    Raises:
        ValueError: the image does not fit the network.
        FileExistsError: there is a result that was made from something else.
    """
    whole = wishes.scale.sized(image)
    stored = with_channels(whole, wishes.channels, predictor.in_channels)
    image, ending = wishes.scale(stored), suffix(stored, wishes.format)
    rescaled = image is not stored
    changed = rescaled or wishes.calibration != AS_PREDICTED
    grows = PREDICTED if changed else "probabilities"
    kinds = dict.fromkeys((*OUTPUTS, grows))
    finals = {kind: prediction_file(wishes.output, image.name, kind, ending) for kind in kinds}
    begun = {origin(each) for final in finals.values() for each in (final, unfinished(final)) if each.exists()}
    for dtype in wishes.formats:
        if begun & set(recipes(image, decoder, predictor, legend, dtype, wishes, changed).values()):
            predictor.dtype = dtype
    sources = recipes(image, decoder, predictor, legend, predictor.dtype, wishes, changed)
    wanted = {kind: finals[kind] for kind in wishes.write}
    if not wishes.overwrite and all(origin(file) == sources[kind] for kind, file in wanted.items()):
        return f"{image.file} is predicted already: {', '.join(map(str, wanted.values()))}"
    make_room(finals, wanted, sources, wishes.overwrite)
    maps = predictor.classes if predictor.classes > 2 else 1
    if ending == ".tif" and not any(unfinished(file).exists() for file in finals.values()):
        labelled = bool(wanted.keys() - {"probabilities"})
        needed = stored.pixels * (maps * ("probabilities" in wanted) + labelled) + rescaled * image.pixels * maps
        check_disk(wishes.output, 4 * needed)
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
    stored = stored if rescaled else image  # which may be in memory by now
    measured = stored if wishes.channels is None else dataclasses.replace(stored, channels=whole.channels)
    seen = appearance(image) if wishes.compared else {}
    return Begun(image, measured, probabilities, predictor.dtype, finals, sources, decoder, wishes, legend, seen)


def as_predicted(image: Image, predictor: Predictor, wishes: Wishes) -> Image:
    """The image as networks see it: with the channels that they take, of the size at which it is predicted.

    Raises:
        ValueError: it does not fit.
    """
    return wishes.scale(with_channels(wishes.scale.sized(image), wishes.channels, predictor.in_channels))


def finish(begun: Begun) -> str:
    """Write the requested results of an image whose probabilities are computed; return a message that names them."""
    image, probabilities, wishes = begun.image, begun.probabilities, begun.wishes
    if probabilities.missing() or (wishes.shards > 1 and not probabilities.claim()):
        return (
            f"{image.file}: shard {wishes.shard} of {wishes.shards} is done; the last to finish writes the result "
            f"(after an interruption, the same command without shards does)"
        )
    try:
        if set(wishes.write) - {"probabilities"}:
            write_results(begun)
        if "probabilities" in wishes.write and PREDICTED in begun.finals:
            final, source = begun.finals["probabilities"], begun.sources["probabilities"]
            write_calibrated(final, begun.returned, wishes.calibration, source)
        if PREDICTED in begun.finals or "probabilities" not in wishes.write:
            probabilities.discard()
        else:
            probabilities.finish()
    finally:
        probabilities.release()
    return f"{image.file} → {', '.join(str(begun.finals[kind]) for kind in wishes.write)}"


def write_results(begun: Begun) -> None:
    """Write the label image and the results that are computed from it."""
    final, source, write = begun.finals["labels"], begun.sources["labels"], begun.wishes.write
    returned = begun.returned
    onto = begun.measured if isinstance(returned, Returned) else None
    labels, areas = label_image(final, begun.probabilities, begun.decoder, source, begun.legend, onto)
    if begun.wishes.compared and not begun.decoder.numbering.of_classes:
        begun.seen.update(of_cells(areas))
    if own := [kind for kind in write if kind in RESULTS]:
        growing = prediction_file(begun.wishes.output, begun.image.name, "pieces", final.suffix)
        cells, numbers = cells_of(labels, returned, begun.decoder, begun.measured, growing)
        for kind in own:
            RESULTS[kind].write(begun.finals[kind], cells, begun.sources[kind])
        if numbers is not labels:
            numbers.discard()
    if "labels" in write:
        labels.finish()
    else:
        labels.discard()


def origin(final: Path) -> str | None:
    """Return what a finished or unfinished result was made from; None if there is none, or it is not ours."""
    own = [result for kind, result in RESULTS.items() if final.name.endswith(OWN_ENDINGS[kind])]
    try:
        return own[0].made_from(final) if own else made_from(final)
    except Exception:  # not there, or not ours; readers raise whatever the first wrong byte leads to
        return None


def suffix(image: Image, chosen: str) -> str:
    """Return the ending of the results: as chosen, or Zarr for a Zarr and for images that are too large for TIFF."""
    if chosen != "auto":
        return f".{chosen}"
    return ".zarr" if image.pixels > LARGEST_TIFF or image.file.suffix == ".zarr" else ".tif"


def recipes(
    image: Image,
    decoder: Decoder,
    predictor: Predictor,
    legend: Legend,
    dtype: torch.dtype,
    wishes: Wishes,
    changed: bool = False,
) -> dict[str, str]:
    """Of each kind of result, a name for all that it depends on: networks, image and choices.

    The image is that which is predicted; ``changed`` are probabilities that are not written as they were predicted.
    """
    seen = [str(image.file.resolve()), image.file.stat().st_size, image.file.stat().st_mtime_ns, image.channels]
    seen += [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in image.parts[1:]]
    seen += [image.axes, image.negative, image.array.shape, image.scaling]
    seen += [wishes.scale.pixel_size] if wishes.scale.pixel_size else []
    common = [predictor.weights, seen, predictor.tta, str(dtype)]
    numbering = decoder.numbering
    labelled: list[object] = [decoder.threshold, type(numbering).__name__.lower(), dataclasses.asdict(numbering)]
    labelled += [plain(legend)] if legend != NUMBERS else []  # so that results of earlier versions are known again
    parts: dict[str, Sequence[object]] = {
        kind: common if kind == "probabilities" else [common, labelled] for kind in OUTPUTS
    }
    if changed:
        parts |= {PREDICTED: common, "probabilities": [common, dataclasses.asdict(wishes.calibration)]}
    hashed = {kind: json.dumps(each, sort_keys=True).encode() for kind, each in parts.items()}
    return {kind: f"{OF_PREDICT} {kind} {hashlib.sha256(text).hexdigest()[:32]}" for kind, text in hashed.items()}


def check_disk(output: Path, needed: int) -> None:
    """Refuse a result that does not fit on the disk, before it is computed.

    Raises:
        OSError: names the folder, the needed and the free space.
    """
    folder = next(each for each in (output.absolute(), *output.absolute().parents) if each.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        sizes = f"the result needs {needed / 1e6:,.0f} MB, but {free / 1e6:,.0f} MB are free"
        raise OSError(errno.ENOSPC, f"No space left on device: {sizes}; nearest valid: another output", str(output))


def make_room(finals: dict[str, Path], wanted: dict[str, Path], sources: dict[str, str], overwrite: bool) -> None:
    """Remove unfinished results that are of no use, and refuse to replace others.

    Raises:
        FileExistsError: a result was made from something else and may not be replaced.
    """
    taken = [str(file) for kind, file in wanted.items() if file.exists() and origin(file) != sources[kind]]
    if taken and not overwrite:
        raise FileExistsError(f"expected no earlier result, but got {', '.join(taken)}; overwrite=true replaces it")
    for kind, file in finals.items():
        partial = unfinished(file)
        # Labels take a moment: unfinished ones of another threshold are useless.
        worthless = overwrite or kind == "labels" or not has_blocks(file)
        if partial.exists() and origin(partial) != sources[kind] and worthless:
            drop(partial)
