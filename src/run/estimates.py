"""``estimates.json`` of a cross-validation, from which `src.predict` estimates scores, and their quality."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from src.files.reading import Layout, Number
from src.metrics.conformal import COVERAGE, FEWEST, too_few

ESTIMATES = "estimates.json"
LARGEST = 1e6  # number in the file


class Seen(Layout):
    """An image that was scored out of fold, and the features of its prediction, `metrics.features.FEATURES`."""

    name: str
    fold: int
    score: Annotated[Number, Field(ge=-LARGEST, le=LARGEST)]
    features: dict[str, Annotated[Number, Field(ge=-LARGEST, le=LARGEST)]]


class Estimates(Layout):
    """``estimates.json``: the images from which the scores of others are estimated."""

    score: str = Field(pattern=r"^\w{1,64}$")
    mode: Literal["max", "min"]
    images: list[Seen]


class Held(Layout):
    """Coverage and width of the intervals of estimated scores."""

    images: int
    covered: int
    width: Number
    rank_correlation: Number | None


class Estimate(Layout):
    """An estimated score with the true one."""

    name: str
    true: Number
    expected: Number
    low: Number
    high: Number


class Estimated(Layout):
    """The estimated scores in ``scores.json`` of a cross-validation."""

    score: str
    images: int
    held: Held | None
    rows: list[Estimate]


def held_lines(known: dict[str, Any] | None, mean: dict[str, Any], shown: Callable[[float | None], str]) -> list[str]:
    """Describe the quality of the estimated scores, in sentences.

    Args:
        known: the estimates of a cross-validation; None for earlier versions.
        mean: scores of the ensemble, empty without held-out images.
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
