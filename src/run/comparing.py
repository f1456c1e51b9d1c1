"""Compare the scores of finished runs image by image, using only the files in their run directories."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from src.metrics.comparing import Difference, difference
from src.run.directory import finished_scores, read_config, scores_of
from src.run.folds import fold_directories
from src.run.layouts import Judged
from src.run.ranking import Ranked

MOST_IMAGES = 10_000  # largest number of images that is suggested for telling two runs apart


class Compared(TypedDict):
    """The comparison of a run with the first of several runs.

    Attributes:
        directory: the run directory.
        both: mean score of the first run, and of this run, over the images that the two runs have in common.
        difference: the score of the first run minus the score of this run.
    """

    directory: Path
    both: tuple[float, float]
    difference: Difference


def compared(directories: Sequence[Path]) -> tuple[str, str, list[Compared]]:
    """Compare the first of several runs or cross-validations with each of the others, by their monitored score.

    Args:
        directories: the directories of the runs or cross-validations.

    Returns:
        The name of the score that the first run monitors; its mode, ``max`` or ``min``; and the comparison with each of
        the other runs.

    Raises:
        ValueError: there is only one run, or a run is unfinished or has fewer than two images in common with the first.
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
    """Return a pair of scores (first run, second run) for each image that has a score in both runs.

    Args:
        one: the content of ``scores.json`` of the first run.
        other: the content of ``scores.json`` of the second run.
        monitor: the name of the score.
    """
    there = {row["name"]: row.get(monitor) for row in other["per_image"]}
    pairs = ((row.get(monitor), there.get(row["name"])) for row in one["per_image"])
    return [(here, other) for here, other in pairs if here is not None and other is not None]


def against_first(sweep: Path, rows: Sequence[Ranked]) -> list[str]:
    """Compare each run of a sweep with the first run of the ranking, on the images that both have scored.

    Args:
        sweep: the directory of the sweep.
        rows: the runs, as returned by `ranking.ranking`.

    Returns:
        A phrase for each run; empty for the first run, for an unfinished run, and for a run on other images.
    """
    # The files of a run that the ranking lists as unfinished are not read again, because they may be damaged.
    first, *others = (finished_scores(sweep / row["directory"]) if row["scores"] else None for row in rows)
    phrases = [""]
    for scores in others:
        found = _difference(in_common(first, scores, rows[0]["monitor"])) if first and scores else None
        phrases.append("" if found is None else in_words(found))
    return phrases


def _difference(pairs: Sequence[tuple[float, float]]) -> Difference | None:
    return difference([one for one, _ in pairs], [other for _, other in pairs])


def in_words(found: Difference) -> str:
    """Describe a difference between two runs in words.

    The text gives the mean difference with its confidence interval and, if the runs cannot be told apart, the number of
    images that would be needed.

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
    """Describe each comparison of two runs in a line of text.

    Args:
        first: the directory of the run with which the others were compared.
        monitor: the name of the score.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
        rows: the comparisons, as returned by `compared`.
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
