"""The layout of ``estimates.json``, from which `src.predict` estimates scores, and a description of their quality."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from src.files.reading import Layout, Number
from src.metrics.conformal import COVERAGE, FEWEST, too_few

ESTIMATES = "estimates.json"
LARGEST = 1e6  # largest absolute value of a number in the file


class Seen(Layout):
    """The out-of-fold score of an image, and the features of its prediction (`metrics.features.FEATURES`)."""

    name: str
    fold: int
    score: Annotated[Number, Field(ge=-LARGEST, le=LARGEST)]
    features: dict[str, Annotated[Number, Field(ge=-LARGEST, le=LARGEST)]]


class EstimatesFile(Layout):
    """The layout of ``estimates.json``: the images from which the scores of other images are estimated."""

    score: str = Field(pattern=r"^\w{1,64}$")
    mode: Literal["max", "min"]
    images: list[Seen]


class Coverage(Layout):
    """The quality of estimated scores: coverage and median width of intervals, rank correlation with true scores."""

    images: int
    covered: int
    width: Number
    rank_correlation: Number | None


class Estimate(Layout):
    """The estimated score of an image, with its prediction interval, and the true score."""

    name: str
    true: Number
    expected: Number
    low: Number
    high: Number


class Estimated(Layout):
    """The estimated scores in ``scores.json`` of a cross-validation, and their quality (``held``)."""

    score: str
    images: int
    held: Coverage | None
    rows: list[Estimate]


def held_lines(known: dict[str, Any] | None, mean: dict[str, Any], shown: Callable[[float | None], str]) -> list[str]:
    """Describe the quality of the estimated scores of a cross-validation, in sentences.

    Args:
        known: the entry ``estimates`` of ``scores.json``; None if it does not exist, as with earlier versions.
        mean: the entry ``ensemble`` of ``scores.json``; empty if there are no held-out images.
        shown: formats a score.
    """
    if not known:
        return []
    score, found = known["score"], []
    if known["images"] < FEWEST:
        return [too_few(score, known["images"])]
    for what, held in (
        (
            f"src.predict estimates {score} of images without annotation. Out of fold, each image from others:",
            known["held"],
        ),
        ("On the held-out images, predicted by the ensemble:", mean.get("estimates")),
        ("On the held-out images, predicted by each network alone:", mean.get("single_estimates")),
    ):
        if held:
            width, correlation = shown(held["width"]), shown(held["rank_correlation"])
            found.append(
                f"{what} {held['covered']} of {held['images']} {COVERAGE:.0%} intervals contain the true score; their "
                f"median width is {width}, and the rank correlation of estimated and true score is {correlation}."
            )
    return found
