"""The images of one ``src.predict``: one after another, and small ones of a size together."""

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
from src.prediction.job import KINDS, Begun, Wishes, as_predicted, begin, finish
from src.prediction.names import ENDINGS, prediction_file
from src.prediction.outlook import Outlook
from src.prediction.outputs import summary
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
    outlook: Outlook | None = None,
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
        outlook: what the training images look like, with which images are compared that are predicted now.
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
                if wishes.compared and "table" in wishes.write:  # so that the page tells of it again
                    seen[image.name] = appearance(as_predicted(image, predictor, wishes))
                continue
            seen[image.name] = begun.seen  # of its cells too, when they are labelled
            unknown += wishes.scale.of(begun.measured) is None
            if begun.small:
                small.append(begun)
            else:
                fill(begun.probabilities, predictor, wishes.shard, wishes.shards)
                say(finish(begun))
        if sum(computed_pixels(each, predictor) for each in small) > AT_ONCE:
            finish_together(small, predictor, failures)
            small = []
    finish_together(small, predictor, failures)
    compare(seen, unknown, outlook)
    if "table" in wishes.write and (page := summary.write(wishes.output, outlook.sentences())):
        say(f"cells of all images: {page}")


def sweep(output: Path, inputs: Iterable[Sequence[Path]]) -> None:
    """Remove what interrupted commands have left of the results of images.

    Args:
        output: their folder.
        inputs: the files of each image.
    """
    finals = [prediction_file(Path(), image_name(i), kind, end) for i in inputs for kind in KINDS for end in ENDINGS]
    sweep_beside(output, {*summary.FILES, *(final.name for final in finals)})


def compare(seen: Mapping[str, Appearance], unknown: int, outlook: Outlook) -> None:
    """Say which images are unlike the training images.

    Args:
        seen: what the images look like, by their names.
        unknown: of them, those that are predicted as they are because nobody knows their pixel size.
        outlook: what the training images look like.
    """
    for name, each in seen.items():
        outlook.look(name, each)
    for line in outlook.lines():
        warn(line)
    if unknown:
        warn(
            f"{unknown} of {len(seen)} images do not say their pixel size and are predicted as they are; "
            f"pixel_size=0.5 says it for all, in µm"
        )


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
