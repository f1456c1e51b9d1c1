"""Write ``report.html`` of a run, using only the files in its run directory."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import imagecodecs
import imageio.v3 as iio
import numpy as np

from src.data.finding import Findings
from src.files import limits
from src.files.image import read_image
from src.files.reading import Layout, read_json, unless_damaged
from src.instances import names_classes
from src.metrics.goodness import worst_first
from src.metrics.mistakes import kinds_of_mistakes
from src.pages.methods import Described, callee, methods
from src.pages.page import data_url, drawn_curves, render
from src.pages.pictures import reduced
from src.pages.verdict import next_steps, verdict
from src.run.directory import differing_keys, flatten, picture_file, planned_steps, read_config, scores_of
from src.run.layouts import Facts, Judged, Places, Steps
from src.run.rows import read_rows

Read = TypeVar("Read")

PAGE = "report.html"
MOST_FRAMES = 8  # largest number of pictures that show a validation image in the course of training
PANELS = ("image", "truth", "prediction", "mistakes")


class Reported(Described, Judged):
    """The fields of ``config.yaml`` that the report needs."""

    trainer: Steps


def write_page(directory: Path, default: dict[str, Any], shown: Callable[[float | None], str]) -> Path:
    """Write ``report.html`` into a run directory, using only the files there, and return the path of the report.

    Damaged files that are not essential are left out of the report and named in warnings.

    Args:
        directory: the directory of a finished run.
        default: the default configuration, with unresolved interpolations ``${…}``; differences from it are listed.
        shown: formats a score.

    Raises:
        ValueError: the run is unfinished, or its scores or its configuration are damaged.
    """
    scores = scores_of(directory)
    config = read_config(directory, Reported)
    facts: dict[str, Any] = _without(functools.partial(read_json, layout=Facts), directory / "environment.json", {})
    monitor = config["monitor"]
    rows = worst_first(scores["per_image"], monitor, config["monitor_mode"])
    places = _json(picture_file(directory, "mistakes.json"), Places)
    values, usual = flatten(config), flatten(default)
    differing = [key for key in differing_keys(default, config) if "${" not in str(usual.get(key))]
    file = directory / PAGE
    render(
        file,
        shown,
        title=directory.resolve().name,
        scores=scores["scores"],
        rows=rows,
        monitor=monitor,
        verdict=[
            verdict(scores["scores"], rows, monitor, "held-out images, which the network had never seen", places),
            *(f"During training: {line}." for line in scores.get("diagnosis", [])),
        ],
        steps=next_steps(scores["scores"], rows, monitor, config["monitor_mode"], scores.get("extend_by")),
        images=((row["name"], panels_of(directory, row["name"])) for row in rows),
        kinds=kinds_of_mistakes(names_classes(callee(config["instances"]))),
        training={
            "curves": drawn_curves(_without(read_curves, directory / "metrics.csv", {}), monitor),
            "frames": _frames(directory),
            "tiles": _embedded(picture_file(directory, "tiles.webp")),
            "images": _embedded(picture_file(directory, "slices.webp")),
        },
        findings=_json(directory / "check.json", Findings).get("findings"),
        run={
            "choices": config["overrides"],
            "differences": [(key, usual.get(key), values.get(key)) for key in differing],
            "config": {key: value for key, value in values.items() if key != "overrides"},
            "facts": {**flatten(facts), "minutes of training": round(scores["seconds"] / 60, 1)},
            "methods": methods(config, {"steps": planned_steps(config), **scores}, facts),
        },
    )
    return file


def read_curves(file: Path) -> dict[str, list[tuple[int, float]]]:
    """Read the learning curves in ``metrics.csv``: a list of (step, value) for each column, by column name."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in read_rows(file):
        for name, value in row.items():
            if name not in ("step", "epoch") and value:
                curves.setdefault(name, []).append((int(row["step"]) + 1, float(value)))
    return curves


def panels_of(directory: Path, name: str) -> dict[str, str]:
    """Return the pictures of a held-out image as data URLs, by their names in `PANELS`; missing pictures are left out.

    Args:
        directory: the run directory.
        name: the name of the image.
    """
    files = {panel: picture_file(directory, f"held_out/{name}_{panel}.webp") for panel in PANELS}
    return {panel: picture for panel, file in files.items() if (picture := _embedded(file))}


def _frames(directory: Path) -> list[tuple[int, str]]:
    """Return the step and the picture (a data URL) of several evenly spaced validations, including the last one."""
    steps = {file: file.stem.removeprefix("step_") for file in picture_file(directory, "validation").glob("step_*.png")}
    files = sorted(file for file, step in steps.items() if step.isdecimal())
    spaced = [files[place] for place in np.linspace(0, len(files) - 1, min(MOST_FRAMES, len(files))).astype(int)]
    pictures = {file: _without(_frame, file, "") for file in spaced}
    return [(int(steps[file]), picture) for file, picture in pictures.items() if picture]


def _frame(file: Path) -> str:
    picture, _ = read_image(file)
    if picture.dtype != np.uint8 or picture.shape[2:] != (3,):
        raise ValueError(f"expected an 8-bit colour picture, but {file} is not one")
    return data_url(iio.imwrite("<bytes>", reduced(picture, 512), extension=".webp"), "webp")


def _embedded(file: Path) -> str:
    return _without(_whole_webp, file, "")


def _whole_webp(file: Path) -> str:
    """Return a WebP picture as a data URL; an empty string if the file does not exist.

    Raises:
        ValueError: the picture cannot be decoded.
    """
    if not file.exists():
        return ""
    limits.check_regular(file)
    content = file.read_bytes()
    with limits.decoding(file):
        imagecodecs.webp_decode(content)
    return data_url(content, "webp")


def _json(file: Path, layout: type[Layout]) -> dict[str, Any]:
    return _without(functools.partial(read_json, layout=layout), file, {}) if file.exists() else {}


def _without(reader: Callable[[Path], Read], file: Path, otherwise: Read) -> Read:
    return unless_damaged(reader, file, otherwise, "the page is written without it")
