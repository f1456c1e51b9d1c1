"""Prediction of one image, from the image file to the requested results."""

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

MEASURED_FROM = 2**26  # pixels of an image above which it pays to measure the fastest tile side
RESULTS = {"table": table, "rois": rois, "geojson": geojson, "overlay": overlay}  # results that are computed from cells
LARGEST_TIFF = 2**28  # pixels; results of larger images are written as Zarr, which opens immediately
AS_PREDICTED, UNSCALED = Calibration(), Scale()  # defaults that leave probabilities and images unchanged
PREDICTED = "predicted"  # temporary result: probabilities before they are calibrated and resampled
KINDS = (*OUTPUTS, PREDICTED)


@dataclasses.dataclass(frozen=True)
class Wishes:
    """The options of a prediction.

    Attributes:
        output: folder of the results.
        write: kinds of results to write, of `files.names.OUTPUTS`.
        format: file format of probabilities and labels: ``tif``, ``zarr`` or ``auto`` (see `suffix`).
        formats: number formats that any machine may use; an interrupted prediction is continued in its own format.
        channels: channels of the image to predict from; None takes all.
        shard: number of this process, from 0, among the processes that predict an image together.
        shards: number of processes that predict an image together.
        verify: whether to check first, on a random window, that tiles give the same probabilities as one pass.
        overwrite: whether to replace earlier results that were made with other networks, images or options.
        seed: random seed that chooses the window for ``verify``.
        calibration: calibration of the written probabilities; labels are computed from uncalibrated ones.
        estimates: collects the estimated score of each image; None estimates no scores.
        scale: the rule for rescaling images before prediction.
        compared: whether to measure the appearance of images, to compare them with the training images.
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
    """A prediction of one image that is ready to be computed and written.

    Attributes:
        image: the image to predict: with the channels that the network takes, and rescaled if that is wanted.
        measured: the image at its size on disk, with all channels, in which intensities of cells are measured.
        probabilities: the store that receives the probabilities.
        dtype: number format to compute in.
        finals: the path of each kind of result.
        sources: for each kind of result, a text that identifies everything it is made from (see `recipes`).
        decoder: computes labels from probabilities.
        wishes: the options of the prediction.
        legend: values, names and colours of the classes.
        seen: appearance of the image, with the diameter of its cells once they are labelled; empty if not measured.
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
        """The probabilities, resampled to the size of the image on disk if the image was rescaled."""
        rescaled = (self.image.height, self.image.width) != (self.measured.height, self.measured.width)
        return Returned(self.probabilities, self.measured) if rescaled else self.probabilities

    @property
    def small(self) -> bool:
        """Whether the image is so small that it is predicted in one batch with others."""
        return isinstance(self.probabilities, Held)


def begin(
    image: Image, predictor: Predictor, decoder: Decoder, wishes: Wishes, legend: Legend = NUMBERS
) -> Begun | str:
    """Prepare to predict one image, or to continue; return a message for the user if all results exist already.

    Raises:
        ValueError: the image does not fit the network.
        FileExistsError: a result exists that was made with another network, image or option.
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
    if predictor.tile is None and image.pixels > MEASURED_FROM and wishes.shards == 1:  # shards need equal tiles
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
    stored = stored if rescaled else image  # `image` may have been read into memory above
    measured = stored if wishes.channels is None else dataclasses.replace(stored, channels=whole.channels)
    seen = appearance(image) if wishes.compared else {}
    return Begun(image, measured, probabilities, predictor.dtype, finals, sources, decoder, wishes, legend, seen)


def as_predicted(image: Image, predictor: Predictor, wishes: Wishes) -> Image:
    """Return the image as the networks see it: with the channels that they take, and rescaled if that is wanted.

    Raises:
        ValueError: the image has other channels than the networks take, or cannot be rescaled.
    """
    return wishes.scale(with_channels(wishes.scale.sized(image), wishes.channels, predictor.in_channels))


def finish(begun: Begun) -> str:
    """Write the requested results of an image, once all its probabilities are computed.

    Returns:
        A message for the user that names the written files, or says that another shard is going to write them.
    """
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
    """Write the label image, and the results that are computed from it, as far as they are requested."""
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
    """Return what a finished or unfinished result was made from (see `recipes`), or None if there is no such result."""
    own = [result for kind, result in RESULTS.items() if final.name.endswith(OWN_ENDINGS[kind])]
    try:
        return own[0].made_from(final) if own else made_from(final)
    except Exception:  # no file, or not ours; readers raise all kinds of errors for damaged files
        return None


def suffix(image: Image, chosen: str) -> str:
    """Return the file extension of probabilities and labels; ``auto`` chooses Zarr for Zarr and very large images."""
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
    """Return, for each kind of result, a text with a hash of everything it depends on: networks, image and options.

    ``image`` is the image as it is predicted, so rescaled if that is wanted. ``changed`` tells whether probabilities
    are calibrated or resampled before they are written.
    """
    seen = [str(image.file.resolve()), image.file.stat().st_size, image.file.stat().st_mtime_ns, image.channels]
    seen += [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in image.parts[1:]]
    seen += [image.axes, image.negative, image.array.shape, image.scaling]
    seen += [wishes.scale.pixel_size] if wishes.scale.pixel_size else []
    common = [predictor.weights, seen, predictor.tta, str(dtype)]
    numbering = decoder.numbering
    labelled: list[object] = [decoder.threshold, type(numbering).__name__.lower(), dataclasses.asdict(numbering)]
    labelled += [plain(legend)] if legend != NUMBERS else []  # so that results of earlier versions are recognised
    parts: dict[str, Sequence[object]] = {
        kind: common if kind == "probabilities" else [common, labelled] for kind in OUTPUTS
    }
    if changed:
        parts |= {PREDICTED: common, "probabilities": [common, dataclasses.asdict(wishes.calibration)]}
    hashed = {kind: json.dumps(each, sort_keys=True).encode() for kind, each in parts.items()}
    return {kind: f"{OF_PREDICT} {kind} {hashlib.sha256(text).hexdigest()[:32]}" for kind, text in hashed.items()}


def check_disk(output: Path, needed: int) -> None:
    """Refuse to compute results that do not fit on the disk; ``needed`` is their size in bytes.

    Raises:
        OSError: there is too little space; names the folder, the needed and the free space.
    """
    folder = next(each for each in (output.absolute(), *output.absolute().parents) if each.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        sizes = f"the result needs {needed / 1e6:,.0f} MB, but {free / 1e6:,.0f} MB are free"
        raise OSError(errno.ENOSPC, f"No space left on device: {sizes}; nearest valid: another output", str(output))


def make_room(finals: dict[str, Path], wanted: dict[str, Path], sources: dict[str, str], overwrite: bool) -> None:
    """Remove unfinished results that cannot be continued; refuse to replace finished results of another origin.

    ``finals`` are the paths of all kinds of results, ``wanted`` those of the requested kinds, and ``sources`` the
    origins that they are to have, as `recipes` returns them.

    Raises:
        FileExistsError: a requested result exists with another origin, and ``overwrite`` is False.
    """
    taken = [str(file) for kind, file in wanted.items() if file.exists() and origin(file) != sources[kind]]
    if taken and not overwrite:
        raise FileExistsError(f"expected no earlier result, but got {', '.join(taken)}; overwrite=true replaces it")
    for kind, file in finals.items():
        partial = unfinished(file)
        # Unfinished labels of another threshold are removed, because labels are quick to compute again.
        worthless = overwrite or kind == "labels" or not has_blocks(file)
        if partial.exists() and origin(partial) != sources[kind] and worthless:
            drop(partial)
