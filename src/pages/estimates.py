"""Diagram of the estimated scores of images against their true scores."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from src.metrics.conformal import COVERAGE
from src.pages.page import as_svg


def drawn_estimates(rows: Sequence[dict[str, Any]], score: str) -> str:
    """Plot the estimated score of each image, with its interval, against the true score, as SVG.

    Intervals that cross the diagonal contain the true score.

    Args:
        rows: for each image its ``true`` and its estimated (``expected``) score, and the ends of the interval, ``low``
            and ``high``.
        score: name of the score.
    """
    figure = Figure(figsize=(7, 5))
    figure.subplots_adjust(left=0.1, right=0.98, bottom=0.1, top=0.92)
    axes = figure.subplots()
    ends = [row[name] for row in rows for name in ("true", "low", "high")]
    least, most = min(ends), max(ends)
    axes.plot([least, most], [least, most], color="#888888", linewidth=1, linestyle="--", label="estimated = true")
    for holds, colour in ((True, "#2b8cc4"), (False, "#d55e00")):
        some = [row for row in rows if (row["low"] <= row["true"] <= row["high"]) == holds]
        true, expected = ([row[name] for row in some] for name in ("true", "expected"))
        away = [[row["expected"] - row["low"] for row in some], [row["high"] - row["expected"] for row in some]]
        label = f"true score {'inside' if holds else 'outside'} the {COVERAGE:.0%} interval"
        axes.errorbar(true, expected, away, color=colour, fmt=".", elinewidth=0.8, label=label)
    axes.set(xlabel=f"true {score}", ylabel=f"estimated {score}")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), fontsize="x-small", ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    return as_svg(figure)
