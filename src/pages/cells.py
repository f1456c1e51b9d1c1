"""``cells.html``: number, size and brightness of the cells in all images, and the images that are outliers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from src.files.whole import write_text
from src.pages.page import data_url, template
from src.pages.pictures import encoded

FEWEST = 5  # images needed to look for outliers
FAR = 3  # an outlier lies more interquartile ranges from the quartiles (Tukey, *Exploratory Data Analysis*, 1977) …
DIFFERENT = 0.25  # … and by more than this share of the median, so that nearly equal images have no outliers
BINS = 40


def write_cells_page(
    file: Path,
    cells: Mapping[str, Mapping[str, np.ndarray]],
    pictures: Mapping[str, str],
    made_from: str,
    unlike: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write the page ``cells.html``.

    Args:
        file: path of the page.
        cells: the measures of each image, ``{image: {measure: values}}`` with one value per cell.
        pictures: for each image that has a picture, the address of the picture, by name of the image.
        made_from: text that marks the page as written by this program.
        unlike: differences of images from the training images, as sentences by name of the image.
    """
    rows = {name: medians(measures) for name, measures in cells.items()}
    outstanding = standing_out(rows)
    odd = {each for each, _ in outstanding} | set(unlike or {})
    ordered = sorted(rows, key=lambda name: name not in odd)  # outliers first
    total = int(sum(row["cells"] for row in rows.values()))
    page = template("cells.html.j2").render(
        title=f"{total:,} cells in {len(rows):,} images",
        outstanding=outstanding,
        unlike=unlike or {},
        compared=len(rows) >= FEWEST,
        fewest=FEWEST,
        columns=list(dict.fromkeys(name for row in rows.values() for name in row)),
        rows=[(name, {measure: shown(value) for measure, value in rows[name].items()}) for name in ordered],
        pictures=pictures,
        histograms=data_url(encoded(histograms(cells, rows)), "webp"),
        made_from=made_from,
    )
    write_text(file, page)


def medians(measures: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the number of cells in an image, and the median of each measure over the cells (NaN without cells)."""
    counted = {"cells": float(max((len(values) for values in measures.values()), default=0))}
    return counted | {
        f"median {name}": float(np.median(values)) if len(values) else np.nan for name, values in measures.items()
    }


def standing_out(rows: Mapping[str, Mapping[str, float]]) -> list[tuple[str, str]]:
    """Return the images whose cell count, or median of a measure, is an outlier, each with the reason.

    ``rows`` holds the values that `medians` returns, by name of the image.

    >>> standing_out({**{str(n): {"cells": 100.0 + n} for n in range(6)}, "odd": {"cells": 4.0}})
    [('odd', 'cells 4; half of the images have 100 to 104')]
    """
    found: list[tuple[str, str]] = []
    for measure in dict.fromkeys(measure for row in rows.values() for measure in row):
        known = {name: row[measure] for name, row in rows.items() if np.isfinite(row.get(measure, np.nan))}
        if len(known) < FEWEST:
            continue
        low, middle, high = np.percentile(list(known.values()), (25, 50, 75))
        for name, value in known.items():
            beyond = max(low - value, value - high)
            if beyond > FAR * (high - low) and beyond > DIFFERENT * abs(middle):
                usual = f"half of the images have {shown(low)} to {shown(high)}"
                found.append((name, f"{measure} {shown(value)}; {usual}"))
    return found


def histograms(cells: Mapping[str, Mapping[str, np.ndarray]], rows: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw histograms of the number of cells per image, and of each measure over the cells of all images.

    Args:
        cells: the measures of each image, ``{image: {measure: values}}`` with one value per cell.
        rows: the values that `medians` returns, by name of the image.
    """
    drawn = {"cells in an image": np.array([row["cells"] for row in rows.values()])}
    for measure in dict.fromkeys(measure for measures in cells.values() for measure in measures):
        drawn[measure] = np.concatenate([each[measure] for each in cells.values() if measure in each])
    across = min(3, len(drawn))
    down = -(-len(drawn) // across)
    figure = Figure(figsize=(3.4 * across, 2.4 * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (name, values) in zip(grid, drawn.items(), strict=False):
        finite = values[np.isfinite(values)]
        axes.hist(finite, bins=min(BINS, max(1, len(np.unique(finite)))), color="#2b8cc4")
        axes.set_title(name, loc="left")
        axes.set_ylabel("images" if name == "cells in an image" else "cells")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(drawn) :]:
        axes.set_visible(False)
    return figure


def shown(value: float) -> str:
    """Format a number for the page."""
    return "–" if np.isnan(value) else f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
