"""The images of one ``src.predict``: one after another, and small ones of a size together."""

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
from src.prediction.predictor import Predictor, fill, fill_together
from src.saying import say, warn
from src.tiles.geometry import covering_side

AT_ONCE = 2**20  # pixels of tiles that are computed together


def predict_all(
    inputs: Iterable[Sequence[Path]],
    reading: Reading,
    predictor: Predictor,
    decoder: Decoder,
    wishes: Wishes,
    legend: Legend,
    failures: Failures,
) -> None:
    """Predict images, and say of each what has become of it; one that fails ends no other.

    Args:
        inputs: the files of each image.
        reading: how their pixels are seen.
        predictor: of all of them.
        decoder: makes labels of probabilities.
        wishes: what is asked for of each image.
        legend: of the classes.
        failures: where the files that failed are noted.
    """
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


def finish_together(small: Sequence[Begun], predictor: Predictor, failures: Failures) -> None:
    """Predict small images, those of a size and number format together, and write what is asked for."""

    def kind(each: Begun) -> tuple[int, int, str]:
        return each.image.height, each.image.width, str(each.dtype)

    for _, alike in groupby(sorted(small, key=kind), kind):
        group = list(alike)
        predictor.dtype = group[0].dtype
        with suppress(Exception):  # each is then tried alone, and what fails is named
            fill_together([each.probabilities for each in group], predictor)
        for each in group:
            with failures.noted(each.image.file):
                fill(each.probabilities, predictor, shard=0, shards=1)
                say(finish(each))


def computed_pixels(begun: Begun, predictor: Predictor) -> int:
    """Pixels of the tile that a small image is predicted from."""
    longest = max(begun.image.height, begun.image.width)
    return (predictor.tile or covering_side(longest, predictor.depth, predictor.padded)) ** 2
