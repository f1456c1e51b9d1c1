"""Compares finished runs image by image, from their directories alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from src.metrics.comparing import Difference, difference
from src.run.directory import finished_scores, read_config, scores_of
from src.run.folds import fold_directories
from src.run.layouts import Judged
from src.run.ranking import Ranked

MOST_IMAGES = 10_000  # largest number of images that is suggested to tell two runs apart


class Compared(TypedDict):
    """The comparison of a run with the first one.

    Attributes:
        directory: the run directory.
        both: mean scores of the first run and of this one over the images that they have in common.
        difference: the first run minus this one.
    """

    directory: Path
    both: tuple[float, float]
    difference: Difference


def compared(directories: Sequence[Path]) -> tuple[str, str, list[Compared]]:
    """Compare the first of several runs or cross-validations with each other one, by the score that it monitors.

    Args:
        directories: the run directories.

    Returns:
        The name of the score; its mode, ``max`` or ``min``; and the comparison with each other run.

    Raises:
        ValueError: a run is not finished, or has fewer than two images in common with the first one.
    """
    if len(directories) < 2:
        raise ValueError("expected at least two runs to compare, but got one; nearest valid: compare=[RUN_A,RUN_B]")
    first, *others = ((each, scores_of(each)) for each in directories)
    config = read_config((fold_directories(first[0]) or [first[0]])[0], Judged)
    monitor: str = config["monitor"]
    rows: list[Compared] = []
    for directory, scores in others:
        pairs = in_common(first[1], scores, monitor)
        found = _difference(pairs)
        if found is None:
            raise ValueError(
                f"expected two images or more with {monitor} in {first[0]} and in {directory}, but got {len(pairs)}; "
                f"nearest valid: runs that have scored the same images"
            )
        one, other = (sum(each) / len(pairs) for each in zip(*pairs, strict=True))
        rows.append({"directory": directory, "both": (one, other), "difference": found})
    return monitor, config["monitor_mode"], rows


def in_common(one: dict[str, Any], other: dict[str, Any], monitor: str) -> list[tuple[float, float]]:
    """The pairs of scores of the images that two runs have in common; images without a score in either are left out.

    Args:
        one: ``scores.json`` of a run.
        other: the same of another run.
        monitor: the name of the score.
    """
    there = {row["name"]: row.get(monitor) for row in other["per_image"]}
    pairs = ((row.get(monitor), there.get(row["name"])) for row in one["per_image"])
    return [(here, other) for here, other in pairs if here is not None and other is not None]


def against_first(sweep: Path, rows: Sequence[Ranked]) -> list[str]:
    """For each run of a sweep, a phrase that compares it with the first one on the images that both have scored.

    Args:
        sweep: the directory of the sweep.
        rows: from `ranking.ranking`; for an unfinished run, or one on other images, the phrase is empty.
    """
    # A run that the ranking lists as unfinished is not read again, because its files may be damaged.
    first, *others = (finished_scores(sweep / row["directory"]) if row["scores"] else None for row in rows)
    phrases = [""]
    for scores in others:
        found = _difference(in_common(first, scores, rows[0]["monitor"])) if first and scores else None
        phrases.append("" if found is None else in_words(found))
    return phrases


def _difference(pairs: Sequence[tuple[float, float]]) -> Difference | None:
    return difference([one for one, _ in pairs], [other for _, other in pairs])


def in_words(found: Difference) -> str:
    """A difference with its interval, and the number of images that would show a difference of that size.

    >>> in_words(Difference(0.02, -0.01, 0.05, 6, 40))
    '+0.0200 (-0.0100 to +0.0500), indistinguishable on 6 images; about 40 would be needed'
    """
    text = f"{found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f})"
    if found.significant:
        return text
    if found.needed is None:
        return f"{text}, equal on {found.images} images"
    many = f"about {found.needed}" if found.needed <= MOST_IMAGES else f"more than {MOST_IMAGES}"
    return f"{text}, indistinguishable on {found.images} images; {many} would be needed"


def lines(first: Path, monitor: str, mode: str, rows: Sequence[Compared]) -> list[str]:
    """A line for each comparison.

    Args:
        first: the run that was compared with the others.
        monitor: the name of the score.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
        rows: the comparisons, from `compared`.
    """
    found_lines = []
    for row in rows:
        found, (one, other) = row["difference"], row["both"]
        better = first if (found.mean > 0) == (mode == "max") else row["directory"]
        verdict = f"; {better} is better" if found.significant else ""
        found_lines.append(
            f"{first} minus {row['directory']}: mean {monitor} of {found.images} images {one:.4f} and {other:.4f}, "
            f"{in_words(found)}{verdict}"
        )
    return found_lines
