"""``estimates.json`` of a cross-validation, by which `src.predict` estimates scores, and how well it does."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from src.files.reading import Layout, Number
from src.metrics.conformal import COVERAGE, FEWEST, too_few

ESTIMATES = "estimates.json"
LARGEST = 1e6  # number in it


class Seen(Layout):
    """An image that was scored out of fold, and the features of its prediction, `metrics.features.FEATURES`."""

    name: str
    fold: int
    score: Annotated[Number, Field(ge=-LARGEST, le=LARGEST)]
    features: dict[str, Annotated[Number, Field(ge=-LARGEST, le=LARGEST)]]


class Estimates(Layout):
    """``estimates.json``: from what the scores of other images are estimated."""

    score: str = Field(pattern=r"^\w{1,64}$")
    mode: Literal["max", "min"]
    images: list[Seen]


class Held(Layout):
    """How many intervals of estimated scores have held the true one."""

    images: int
    covered: int
    width: Number
    rank_correlation: Number | None


class Estimate(Layout):
    """An estimated score beside the true one."""

    name: str
    true: Number
    expected: Number
    low: Number
    high: Number


class Estimated(Layout):
    """What ``scores.json`` of a cross-validation says of estimated scores."""

    score: str
    images: int
    held: Held | None
    rows: list[Estimate]


def held_lines(known: dict[str, Any] | None, mean: dict[str, Any], shown: Callable[[float | None], str]) -> list[str]:
    """How well scores are estimated without the truth, in sentences.

    Args:
        known: the estimates of a cross-validation; None of one of an earlier version.
        mean: what is known of the mean of its networks, empty if nothing is held out.
        shown: how a score is written.
    """
    if not known:
        return []
    score, found = known["score"], []
    if known["images"] < FEWEST:
        return [too_few(score, known["images"])]
    for what, held in (
        (
            f"{score} is estimated by src.predict without truth. Of images out of fold, each by others,",
            known["held"],
        ),
        ("Of the held-out images, predicted by the mean of the networks,", mean.get("estimates")),
        ("Of the scores that each network alone has there,", mean.get("single_estimates")),
    ):
        if held:
            width, correlation = shown(held["width"]), shown(held["rank_correlation"])
            found.append(
                f"{what} {held['covered']} of {held['images']} {COVERAGE:.0%} intervals hold; their median width is "
                f"{width}, the rank correlation of estimated and true score {correlation}."
            )
    return found
