"""Sentences for the top of a page: what the scores say, how certain they are, and what to do next."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

from src.metrics.bootstrap import of_mean
from src.metrics.goodness import goodness, is_known

COUNTED = {"splits": "split", "merges": "merged", "missed": "missed", "extra": "extra"}  # counts of mistakes
MOST = 1 / 3  # share of all mistakes above which the most frequent kind leads to advice
FEW = 5  # with fewer images a confidence interval means next to nothing
FAR = 4.0  # an image is unlike the others beyond this multiple of the median absolute deviation
ADVICE = {  # by kind of mistake: a description of the mistakes, and what to do about them
    "split": (
        "cells split into pieces",
        "See which decoder the validation images prefer, as printed at the end of training; a larger "
        "instances.min_size or more annotated cells like these may help.",
    ),
    "merged": (
        "cells merged into one",
        "Train with the borders of cells as a class (target=border), or give borders more weight (weight_map=plugin); "
        "more annotated cells that touch help both.",
    ),
    "missed": (
        "missed cells",
        "See whether they are fainter or smaller than those in the training images, and annotate more like them.",
    ),
    "extra": (
        "cells where none is annotated",
        "See whether the annotators overlooked them: each one counts as a mistake of the network.",
    ),
}


def verdict(
    scores: Mapping[str, float | None],
    rows: Sequence[dict[str, Any]],
    monitor: str,
    what: str,
    places: Mapping[str, list[tuple[str, int, int]]],
    with_interval: bool = True,
) -> str:
    """Summarise the scores in a few sentences.

    Args:
        scores: the scores of all images together, by name.
        rows: the name and the scores of each image, the worst image first.
        monitor: name of the score to report.
        what: what was scored, such as ``held-out images``.
        places: for each image, by name, its mistakes as (kind, row, column), the largest first; may be empty.
        with_interval: whether to state the mean over the images with its confidence interval; False if the page gives
            the interval of the pooled score elsewhere.
    """
    what = what if len(rows) != 1 else what.replace("images", "image")
    score = scores.get(monitor)
    if score is None or not is_known(score):
        return f"{len(rows)} {what}, for which {monitor} is undefined."
    each = [row[monitor] for row in rows if is_known(row.get(monitor))]
    text = f"On {len(rows)} {what}, {monitor} is {score:.3f}"
    if len(each) > 1:
        text += f", pooled over them. Single images have {min(each):.3f} to {max(each):.3f}"
        if with_interval:
            low, high = of_mean(each)
            certain = f"95 % confidence interval of the mean {low:.3f} to {high:.3f}"
            certain = certain if len(each) >= FEW else "too few for a confidence interval"
            text += f", {fmean(each):.3f} on average ({certain})"
        text += f". The worst is {rows[0]['name']}"
        if found := places.get(rows[0]["name"]):
            kind, row, column = found[0]
            text += f", where the largest mistake ({kind}) is near row {row}, column {column}"
    counts = _mistakes(scores)
    if counts.keys() == set(COUNTED.values()) and any(counts.values()):
        text += f". Mistakes among cells: {', '.join(f'{count} {kind}' for kind, count in counts.items())}"
    return f"{text}."


def next_steps(
    scores: Mapping[str, float | None],
    rows: Sequence[dict[str, Any]],
    monitor: str,
    mode: str,
    extend_by: int | None = None,
) -> list[str]:
    """Recommend what to do next, one or two sentences per step with the evidence for it.

    Args:
        scores: the scores of all images together, by name.
        rows: the name and the scores of each image, the worst image first.
        monitor: name of the most important score.
        mode: ``max`` if a higher value of this score is better, ``min`` if a lower one is.
        extend_by: number of further training steps to recommend, because the validation score was still rising at the
            end; None does not recommend more.
    """
    steps = []
    if extend_by is not None:
        steps.append(
            f"Train longer: validation {monitor} was still rising when training ended. The same command with "
            f"extend=+{extend_by} continues the run."
        )
    counts = _mistakes(scores)
    most = max(counts, key=lambda kind: counts[kind], default="")
    if most and counts[most] > MOST * sum(counts.values()):
        name, cure = ADVICE[most]
        steps.append(f"{counts[most]} of {sum(counts.values())} mistakes are {name}. {cure}")
    known = [row for row in rows if is_known(row.get(monitor))]
    if (odd := unlike(known, monitor, mode)) is not None:
        steps.append(
            f"Look at {odd['name']}, which is unlike the others: {monitor} is {odd[monitor]:.3f} there, and the median "
            f"of all images is {median(row[monitor] for row in known):.3f}. If it is of another kind, add more of that "
            f"kind to the training images."
        )
    if not steps and known:
        steps.append(
            f"No single cause stands out. Annotate a few more images like {known[0]['name']}, the worst one, and add "
            f"them to the training images."
        )
    return steps


def unlike(rows: Sequence[dict[str, Any]], monitor: str, mode: str) -> dict[str, Any] | None:
    """Return the row of the worst image if it is far worse than the others; else None, as with fewer than 4 images."""
    known = [row for row in rows if is_known(row.get(monitor))]
    if len(known) < 4:
        return None
    ranks = [goodness(row[monitor], mode) for row in known]
    middle = median(ranks)
    spread = median(abs(rank - middle) for rank in ranks)
    worst = min(range(len(known)), key=ranks.__getitem__)
    return known[worst] if middle - ranks[worst] > FAR * max(spread, 0.01 * abs(middle)) else None


def _mistakes(scores: Mapping[str, float | None]) -> dict[str, int]:
    """Return the number of mistakes of each kind; kinds whose number is unknown are left out."""
    counts = {kind: scores.get(name) for name, kind in COUNTED.items()}
    return {kind: int(count) for kind, count in counts.items() if count is not None and is_known(count)}
