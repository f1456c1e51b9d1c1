"""Self-contained HTML pages: the report of a run, scores of any predictions, and a preview of training images."""

import base64
import functools
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import matplotlib
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from matplotlib.figure import Figure

from src.data.finding import SHOWN_FILES, by_code
from src.files.whole import write_text
from src.metrics.goodness import OF_CLASS, by_class, worst_first
from src.metrics.mistakes import KINDS
from src.pages.glossary import meaning
from src.pages.methods import sources
from src.pages.pictures import COLOURS, encoded
from src.pages.verdict import next_steps, verdict

LARGEST_PAGE = 8_000_000  # bytes for the pictures of scored images, so that the page can be sent by e-mail


class Training(TypedDict):
    """The content of the section on training. Pictures are ``data:`` addresses; "" stands for no picture."""

    curves: str  # SVG of loss, score and learning rate
    frames: list[tuple[int, str]]  # step and picture of a validation image
    tiles: str  # picture of the first training tiles
    images: str  # picture of training images with their weights


class Run(TypedDict):
    """The content of the sections on the settings and the environment of a run."""

    choices: list[str]  # arguments of the command
    differences: list[tuple[str, object, object]]  # setting, default, value of this run
    config: dict[str, object]
    facts: dict[str, object]
    methods: str


def write_score_page(
    file: Path,
    scores: Mapping[str, Any],
    monitor: str,
    mode: str,
    pictures: Mapping[str, dict[str, bytes]],
    kinds: tuple[int, ...],
    shown: Callable[[float | None], str],
) -> None:
    """Write a page with the scores of predictions, which any tool may have made.

    Args:
        file: path of the page.
        scores: the scores in the layout of ``scores.json``.
        monitor: name of the score by which images are sorted.
        mode: ``max`` if a higher value of this score is better, ``min`` if a lower one is.
        pictures: the pictures that `pages.pictures.panels` makes, by name of the image; images may be missing.
        kinds: the kinds of mistakes that can occur, keys of `metrics.mistakes.KINDS`.
        shown: formats a score as text.
    """
    rows = worst_first(scores["per_image"], monitor, mode)
    render(
        file,
        shown,
        title=file.stem,
        scores=scores["scores"],
        rows=rows,
        monitor=monitor,
        verdict=[verdict(scores["scores"], rows, monitor, "images", {})],
        steps=next_steps(scores["scores"], rows, monitor, mode),
        images=[
            (row["name"], {panel: data_url(content, "webp") for panel, content in pictures[row["name"]].items()})
            for row in rows
            if row["name"] in pictures
        ],
        kinds=kinds,
    )


def write_preview_page(file: Path, title: str, lines: list[str], tiles: Figure, images: Figure) -> None:
    """Write a page that shows, before training, the training images and the tiles drawn from them.

    Args:
        file: path of the page.
        title: title of the page.
        lines: sentences at the top of the page.
        tiles: the figure that `pages.samples.tiles_figure` returns.
        images: the figure that `pages.samples.images_figure` returns.
    """
    training: Training = {
        "curves": "",
        "frames": [],
        "tiles": data_url(encoded(tiles), "webp"),
        "images": data_url(encoded(images), "webp"),
    }
    render(file, str, title=title, verdict=lines, training=training)


def render(
    file: Path,
    shown: Callable[[float | None], str],
    *,
    title: str,
    verdict: list[str],
    steps: Sequence[str] = (),
    scores: Mapping[str, float | None] | None = None,
    rows: Sequence[Mapping[str, Any]] = (),
    monitor: str = "",
    images: Iterable[tuple[str, dict[str, str]]] = (),
    kinds: tuple[int, ...] = (),
    training: Training | None = None,
    drawings: Iterable[tuple[str, str]] = (),
    findings: list[dict[str, str]] | None = None,
    run: Run | None = None,
) -> None:
    """Fill the template ``page.html.j2`` and write the page; sections for which no content is given are left out.

    Args:
        file: path of the page.
        shown: formats a score as text.
        title: title of the page.
        verdict: sentences at the top of the page.
        steps: recommended next steps.
        scores: the scores of all images together, by name.
        rows: the name and the scores of each image, in the order of the table.
        monitor: name of the most important score.
        images: the name of each image and its pictures as ``data:`` addresses, by panel.
        kinds: the kinds of mistakes in the legend of the pictures.
        training: the section on training.
        drawings: titles of further diagrams, each with the diagram as SVG.
        findings: findings of the check of the images; None leaves out the section.
        run: the sections on the settings and the environment of a run.
    """
    scores = dict(scores or {})
    page = template("page.html.j2").render(
        title=title,
        verdict=verdict,
        steps=steps,
        meanings={name: text for name in scores if not re.search(OF_CLASS, name) and (text := meaning(name))},
        scores=scores,
        rows=rows,
        columns=[
            name
            for name in dict.fromkeys(name for row in rows for name in row)
            if name != "name" and not re.search(OF_CLASS, name)
        ],
        classes=by_class(scores),
        monitor=monitor,
        images=fitting(images, LARGEST_PAGE),
        key={KINDS[kind]: "rgb({}, {}, {})".format(*COLOURS[kind]) for kind in kinds},
        training=training,
        drawings=drawings,
        findings=None if findings is None else by_code(findings),
        shown_files=SHOWN_FILES,
        run=run,
        sources=sources(scores),
        shown=shown,
    )
    write_text(file, page)


@functools.cache
def template(name: str) -> Template:
    """Load a template from the folder of this module; it escapes HTML in the values that fill it."""
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(name)


def drawn_curves(curves: dict[str, list[tuple[int, float]]], monitor: str) -> str:
    """Draw training loss, validation score and learning rate over training steps, as SVG; "" without any curve.

    Args:
        curves: pairs of step and value, by name of the curve.
        monitor: name of the validation score that chose the checkpoint.
    """
    names = [name for name in ("train/loss", f"validation/{monitor}", "train/learning_rate") if name in curves]
    if not names:
        return ""
    height = 2 * len(names)
    figure = Figure(figsize=(7, height))
    figure.subplots_adjust(left=0.12, right=0.98, bottom=0.5 / height, top=1 - 0.3 / height, hspace=0.35)
    for name, axes in zip(names, figure.subplots(len(names), 1, squeeze=False, sharex=True)[:, 0], strict=True):
        steps, values = zip(*curves[name], strict=True)
        axes.plot(steps, values, color="#2b8cc4", linewidth=1, marker="." if len(steps) < 40 else None)
        axes.set_title(name, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    axes.set_xlabel("step")
    return as_svg(figure)


def as_svg(figure: Figure) -> str:
    """Convert a figure to SVG in which black lines and text take the colour of the surrounding text of a page."""
    drawing = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "curves"}):  # makes the file reproducible
        figure.savefig(drawing, format="svg", transparent=True, metadata={"Date": None})
    svg = drawing.getvalue()
    # This makes the figure legible in light and dark mode.
    return svg[svg.index("<svg") :].replace("#000000", "currentColor").replace("stroke: #b0b0b0", "stroke: #888")


def fitting(images: Iterable[tuple[str, dict[str, str]]], size: int) -> list[tuple[str, dict[str, str]]]:
    """Return the first images that have pictures (name, picture by panel), as many as fit into ``size`` bytes."""
    shown = []
    for name, pictures in images:
        size -= sum(map(len, pictures.values()))
        if size < 0:
            break
        if pictures:
            shown.append((name, pictures))
    return shown


def data_url(content: bytes, kind: str) -> str:
    """Return a ``data:`` address that contains a picture; ``kind`` is its format, such as ``webp``."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
