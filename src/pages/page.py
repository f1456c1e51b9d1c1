"""``report.html``: a finished run, or scores of any predictions, on one page that opens anywhere."""

import base64
import functools
import io
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

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

LARGEST_PAGE = 8_000_000  # bytes of pictures of slices, so that the page can be sent by e-mail


def write_score_page(
    file: Path,
    scores: dict,
    monitor: str,
    mode: str,
    slices: dict[str, dict[str, bytes]],
    kinds: tuple[int, ...],
    shown: Callable[[float | None], str],
) -> None:
    """Write a page with the scores of predictions of any tool.

    Args:
        file: where to.
        scores: in the layout of ``scores.json``.
        monitor: the score by which images are worse or better.
        mode: whether ``max`` or ``min`` of it is better.
        slices: pictures of images as `pages.pictures.panels` makes them, by the names of the images.
        kinds: of mistakes that there may be, as of `metrics.mistakes`.
        shown: how a score is written.
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
        slices=[
            (row["name"], {panel: data_url(content, "webp") for panel, content in slices[row["name"]].items()})
            for row in rows
            if row["name"] in slices
        ],
        kinds=kinds,
    )


def write_preview_page(file: Path, title: str, lines: list[str], tiles: Figure, slices: Figure) -> None:
    """Write a page with what is learnt from, before it is.

    Args:
        file: where to.
        title: of the page.
        lines: what there is to say.
        tiles, slices: figures as of `pages.samples`.
    """
    pictures = {"tiles": data_url(encoded(tiles), "webp"), "slices": data_url(encoded(slices), "webp")}
    render(file, str, title=title, verdict=lines, training={"curves": "", "frames": [], **pictures})


def render(
    file: Path,
    shown: Callable[[float | None], str],
    *,
    title: str,
    verdict: list[str],
    steps: Sequence[str] = (),
    scores: dict | None = None,
    rows: Iterable[dict] = (),
    monitor: str = "",
    slices: Iterable[tuple[str, dict[str, str]]] = (),
    kinds: tuple[int, ...] = (),
    training: dict | None = None,
    drawings: Iterable[tuple[str, str]] = (),
    findings: list[dict] | None = None,
    run: dict | None = None,
) -> None:
    """Fill ``page.html.j2``; what is not given has no place on the page."""
    scores = scores or {}
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
        slices=fitting(slices, LARGEST_PAGE),
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
    """A template that lies beside this file, in which what is filled in is no markup."""
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(name)


def drawn_curves(curves: dict[str, list[tuple[int, float]]], monitor: str) -> str:
    """Loss, the score that chose the checkpoint and the learning rate, as SVG in the colour of the text around it."""
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
    """A drawing as SVG in the colour of the text around it."""
    drawing = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "curves"}):  # the same drawing of the same curves
        figure.savefig(drawing, format="svg", transparent=True, metadata={"Date": None})
    svg = drawing.getvalue()
    # So that it can be read on light and on dark.
    return svg[svg.index("<svg") :].replace("#000000", "currentColor").replace("stroke: #b0b0b0", "stroke: #888")


def fitting(slices: Iterable[tuple[str, dict[str, str]]], size: int) -> list[tuple[str, dict[str, str]]]:
    """The first slices with pictures that have no more than ``size`` bytes together."""
    shown = []
    for name, pictures in slices:
        size -= sum(map(len, pictures.values()))
        if size < 0:
            break
        if pictures:
            shown.append((name, pictures))
    return shown


def data_url(content: bytes, kind: str) -> str:
    """A picture as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
