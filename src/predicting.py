"""Predict the images of one command: one after another, and small ones of the same size together."""

from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from itertools import groupby
from pathlib import Path

from src.command import Failures
from src.files.channels import open_together
from src.files.legend import Legend
from src.files.stored import Reading
from src.instances import Decoder
from src.prediction.job import Begun, Wishes, begin, finish
from src.prediction.outputs import summary
from src.prediction.predictor import Predictor, fill, fill_together
from src.prediction.store import Held
from src.saying import say, warn
from src.tiles.geometry import covering_side

AT_ONCE = 2**20  # pixels of tiles to compute together


def predict_all(
    inputs: Iterable[Sequence[Path]],
    reading: Reading,
    predictor: Predictor,
    decoder: Decoder,
    wishes: Wishes,
    legend: Legend,
    failures: Failures,
) -> None:
    """Predict images, and print what was written for each; a failed image does not stop the others.

    Args:
        inputs: the files of each image.
        reading: how their pixels are read.
        predictor: for all of them.
        decoder: makes label images of probabilities.
        wishes: what to write for each image.
        legend: of the classes.
        failures: collects the files that failed.
    """
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
            elif begun.small:
                small.append(begun)
            else:
                fill(begun.probabilities, predictor, wishes.shard, wishes.shards)
                say(finish(begun))
        if sum(computed_pixels(each, predictor) for each in small) > AT_ONCE:
            finish_together(small, predictor, failures)
            small = []
    finish_together(small, predictor, failures)
    if "table" in wishes.write and (page := summary.write(wishes.output)):
        say(f"cells of all images: {page}")


def finish_together(small: Sequence[Begun], predictor: Predictor, failures: Failures) -> None:
    """Predict small images, those of the same size and number format together, and write the results."""

    def kind(each: Begun) -> tuple[int, int, str]:
        return each.image.height, each.image.width, str(each.dtype)

    for _, alike in groupby(sorted(small, key=kind), kind):
        group = list(alike)
        predictor.dtype = group[0].dtype
        with suppress(Exception):  # then each image is tried alone below, and failures are named
            fill_together([each.probabilities for each in group if isinstance(each.probabilities, Held)], predictor)
        for each in group:
            with failures.noted(each.image.file):
                fill(each.probabilities, predictor, shard=0, shards=1)
                say(finish(each))


def computed_pixels(begun: Begun, predictor: Predictor) -> int:
    """The number of pixels of the tile that a small image needs."""
    longest = max(begun.image.height, begun.image.width)
    return (predictor.tile or covering_side(longest, predictor.depth, predictor.padded)) ** 2
