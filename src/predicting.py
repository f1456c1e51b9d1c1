"""Predict the images of one command: large images one after another, small images of the same size in batches."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from src.command import Failures
from src.data.appearance import Appearance, appearance
from src.files.channels import open_together
from src.files.incomplete import sweep_beside
from src.files.legend import Legend
from src.files.names import image_name
from src.files.stored import Reading
from src.instances import Decoder
from src.metrics.conformal import COVERAGE
from src.prediction.estimates import FILE
from src.prediction.job import KINDS, Begun, Wishes, as_predicted, begin, finish, origin
from src.prediction.names import ENDINGS, prediction_file
from src.prediction.outlook import Outlook
from src.prediction.outputs import summary
from src.prediction.predictor import Predictor, fill, fill_together
from src.prediction.store import Held
from src.saying import say, warn
from src.terminal import print_estimates
from src.tiles.geometry import covering_side

AT_ONCE = 2**20  # small images are predicted together as soon as their tiles have more pixels than this


def predict_all(
    inputs: Iterable[Sequence[Path]],
    reading: Reading,
    predictor: Predictor,
    decoder: Decoder,
    wishes: Wishes,
    legend: Legend,
    failures: Failures,
    outlook: Outlook | None = None,
) -> None:
    """Predict images, and print what was written for each; a failed image does not stop the others.

    Args:
        inputs: the files of each image.
        reading: how the pixels of the files are read.
        predictor: computes the class probabilities of all images.
        decoder: makes label images from class probabilities.
        wishes: what to write for each image, and how.
        legend: the names and values of the classes.
        failures: collects the files that failed.
        outlook: compares the images with the training images; None: no comparison.
    """
    outlook = outlook or Outlook()
    wishes = replace(wishes, compared=bool(outlook.usual))
    seen: dict[str, Appearance] = {}
    unknown = 0
    if "table" in wishes.write:
        summary.check_room(wishes.output, wishes.overwrite)
    small: list[Begun] = []
    for each in inputs:
        with failures.noted(each[0]), closing(open_together(each, reading)) as image:
            if image.missing_chunks:
                warn(f"{image.missing_chunks} chunks of {image.file} are missing and are read as its fill value")
            for note in image.notes:
                say(f"{image.file}: {note.found}; taken: {note.taken}")
            begun = begin(image, predictor, decoder, wishes, legend)
            if isinstance(begun, str):
                say(begun)
                if wishes.compared and "table" in wishes.write:  # the page names images unlike the training images
                    seen[image.name] = appearance(as_predicted(image, predictor, wishes))
                continue
            seen[image.name] = begun.seen  # the cell size is added when the cells are labelled
            unknown += wishes.scale.of(begun.measured) is None
            if begun.small:
                small.append(begun)
            else:
                fill(begun.probabilities, predictor, wishes.shard, wishes.shards)
                finished(begun, predictor)
        if sum(computed_pixels(each, predictor) for each in small) > AT_ONCE:
            finish_together(small, predictor, failures)
            small = []
    finish_together(small, predictor, failures)
    compare(seen, unknown, outlook)
    unlike = outlook.sentences()
    tell_estimates(wishes, {name: "; ".join(each) for name, each in unlike.items()})
    if "table" in wishes.write and (page := summary.write(wishes.output, unlike)):
        say(f"cells of all images: {page}")


def finished(begun: Begun, predictor: Predictor) -> None:
    """Write the results of a predicted image, and estimate its score if asked for.

    If several shards (processes) share the image, only the shard that finishes last does so.
    """
    say(finish(begun))
    estimates, source = begun.wishes.estimates, begun.sources["labels"]
    if estimates and (begun.wishes.shards == 1 or origin(begun.finals["labels"]) == source):
        estimates.add(begun.image, predictor, source)


def tell_estimates(wishes: Wishes, outside: Mapping[str, str]) -> None:
    """Write and print the estimated scores of the images whose predictions are in the output folder, if asked for.

    Args:
        wishes: what was asked for, with the estimated scores and the output folder.
        outside: for images unlike the training images, by name, a description of the differences.
    """

    def made_from(name: str) -> str | None:
        files = [prediction_file(wishes.output, name, "labels", ending) for ending in ENDINGS]
        return next((origin(file) for file in files if file.exists()), None)

    estimates = wishes.estimates
    rows = estimates.write(wishes.output, made_from, outside) if estimates else []
    if estimates and rows:
        print_estimates(rows, estimates.score, estimates.mode)
        say(
            f"{COVERAGE:.0%} of such intervals contain the true score, for images like those of the cross-validation: "
            f"{wishes.output / FILE}"
        )


def sweep(output: Path, inputs: Iterable[Sequence[Path]]) -> None:
    """Remove unfinished results that interrupted commands have left.

    Args:
        output: the folder that contains the results.
        inputs: the files of each image.
    """
    finals = [prediction_file(Path(), image_name(i), kind, end) for i in inputs for kind in KINDS for end in ENDINGS]
    sweep_beside(output, {*summary.FILES, *(final.name for final in finals)})


def compare(seen: Mapping[str, Appearance], unknown: int, outlook: Outlook) -> None:
    """Warn of images that are unlike the training images.

    Args:
        seen: the appearance of the images, by name.
        unknown: the number of images that were not rescaled because their pixel size is unknown.
        outlook: compares the images with the training images, and keeps the differences.
    """
    for name, each in seen.items():
        outlook.look(name, each)
    for line in outlook.lines():
        warn(line)
    if unknown:
        warn(
            f"{unknown} of {len(seen)} images have no pixel size and were not rescaled; "
            f"pixel_size=0.5 sets it for all, in µm"
        )


def finish_together(small: Sequence[Begun], predictor: Predictor, failures: Failures) -> None:
    """Predict small images in batches of the same image size and dtype, and write the results."""

    def kind(each: Begun) -> tuple[int, int, str]:
        return each.image.height, each.image.width, str(each.dtype)

    for _, alike in groupby(sorted(small, key=kind), kind):
        group = list(alike)
        predictor.dtype = group[0].dtype
        with suppress(Exception):  # then each image is predicted alone below, to find those that fail
            fill_together([each.probabilities for each in group if isinstance(each.probabilities, Held)], predictor)
        for each in group:
            with failures.noted(each.image.file):
                fill(each.probabilities, predictor, shard=0, shards=1)
                finished(each, predictor)


def computed_pixels(begun: Begun, predictor: Predictor) -> int:
    """Return the number of pixels of the tile in which a small image is predicted."""
    longest = max(begun.image.height, begun.image.width)
    return (predictor.tile or covering_side(longest, predictor.depth, predictor.padded)) ** 2
