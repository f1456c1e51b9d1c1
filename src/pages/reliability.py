"""Reliability diagram: the share of pixels that are in cells against the predicted probability of cell."""

from matplotlib.figure import Figure

from src.metrics.reliability import Step
from src.pages.page import as_svg

COLOURS = {"before": "#e69f00", "after": "#2b8cc4"}


def drawn_reliability(diagrams: dict[str, list[Step]]) -> str:
    """Draw a reliability diagram, with the distribution of predicted probabilities below it, as SVG.

    Args:
        diagrams: the bins of the diagram, as `metrics.reliability.diagram` returns them, under the key ``before`` for
            probabilities before calibration and ``after`` for those after it.
    """
    figure = Figure(figsize=(7, 5))
    figure.subplots_adjust(left=0.1, right=0.98, bottom=0.1, top=0.97, hspace=0.12)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle="--", label="perfect calibration")
    for name, steps in diagrams.items():
        predicted, true, count = ([step[key] for step in steps] for key in ("predicted", "true", "count"))
        above.plot(predicted, true, color=COLOURS[name], linewidth=1.5, marker=".", label=f"{name} calibration")
        shares = [each / sum(count) for each in count]
        below.plot(predicted, shares, color=COLOURS[name], linewidth=1, marker=".")
    above.set(ylabel="share of pixels in cells", xlim=(0, 1), ylim=(0, 1))
    above.legend(frameon=False, loc="best")
    below.set(xlabel="probability of cell", ylabel="share of pixels", yscale="log")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    return as_svg(figure)
