"""``report.html``: a finished run on one page that opens anywhere, from the files of its directory alone."""

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from src.data.stack import complete_file
from src.metrics.instance import EXTRA, MERGED, MISSED, SPLIT
from src.run.directory import finished_scores, flatten, read_config
from src.run.pictures import COLOURS, PANELS, panel_file

MOST_SLICES = 12  # that are shown; the worst ones


def write_page(directory: Path, shown: Callable[[float | None], str]) -> Path:
    """Write ``report.html`` into a run directory; → the file.

    Args:
        directory: of a finished run.
        shown: how a score is written.

    Raises:
        ValueError: the run is not finished.
    """
    scores = finished_scores(directory)
    if scores is None:
        raise ValueError(
            f"expected a finished run, but {directory} is not; the command that started it goes on with it"
        )
    config = read_config(directory)
    facts = json.loads((directory / "environment.json").read_text(encoding="utf-8"))
    curves = read_curves(directory / "metrics.csv")
    monitor, mode = config["monitor"], config["monitor_mode"]
    rows = worst_first(scores["per_image"], monitor, mode)
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    ).get_template("page.html.j2")
    file = directory / "report.html"
    content = page.render(
        title=directory.name,
        shown=shown,
        key={
            kind: "rgb({}, {}, {})".format(*COLOURS[number])
            for kind, number in {"split": SPLIT, "merged": MERGED, "missed": MISSED, "extra": EXTRA}.items()
        },
        verdict=verdict(scores, rows, monitor),
        monitor=monitor,
        scores=scores["scores"],
        rows=rows,
        slices=[(row["name"], panels(directory, row["name"])) for row in rows[:MOST_SLICES]],
        curves=drawn_curves(curves, monitor),
        choices=config["overrides"],
        config=flatten({key: value for key, value in config.items() if key != "overrides"}),
        facts=flatten(facts),
        methods=methods(config, scores),
    )
    with complete_file(file) as partial:
        partial.write_text(content, encoding="utf-8")
    return file


def worst_first(rows: list[dict], monitor: str, mode: str) -> list[dict]:
    """The rows of a score table, those of the worst images first; without a score they stand last."""
    sign = {"max": 1, "min": -1}[mode]
    name = monitor if rows and monitor in rows[0] else next(iter(rows[0].keys() - {"name"}))
    known = [row for row in rows if row.get(name) is not None]
    return sorted(known, key=lambda row: sign * row[name]) + [row for row in rows if row.get(name) is None]


def verdict(scores: dict, rows: list[dict], monitor: str) -> str:
    """What the scores say, in a sentence or two."""
    count = len(rows)
    total = scores["scores"].get(monitor)
    if total is None:
        return f"{count} held-out slices were scored; there was nothing to judge {monitor} by."
    each = [row[monitor] for row in rows if row.get(monitor) is not None]
    text = f"On {count} held-out slice{'s' * (count != 1)}, which the network had never seen, {monitor} is {total:.3f}"
    if len(each) > 1:
        text += f" (from {min(each):.3f} to {max(each):.3f}); the worst is {rows[0]['name']}"
    text += "."
    mistakes = {
        name: scores["scores"][name] for name in ("splits", "merges", "missed", "extra") if name in scores["scores"]
    }
    if mistakes:
        kinds = {"splits": "split", "merges": "merged", "missed": "missed", "extra": "extra"}
        most = max(mistakes, key=mistakes.get)
        counts = ", ".join(f"{int(value)} {kinds[name]}" for name, value in mistakes.items())
        text += f" Mistakes to mend: {counts}" + (f"; most of them are cells {kinds[most]}." if mistakes[most] else ".")
    return text


def methods(config: dict, scores: dict) -> str:
    """A paragraph for the methods section of a paper."""
    model, data, weight = config["model"], config["data"], config["weight_map"]
    convolutions = "padded" if model["padded"] else "valid (unpadded)"
    norm = {"none": "no", "batch": "batch", "batch_after": "batch (after each ReLU)"}[model["norm"]]
    optimizer = config["optimizer"]["_target_"].rpartition(".")[2]
    return (
        f"A U-Net (Ronneberger et al. 2015) with {model['depth']} poolings, {model['base_channels']} channels at full "
        f"resolution, {convolutions} convolutions and {norm} normalisation was trained for {scores['steps']} steps of "
        f"{data['batch_size']} tile{'s' * (data['batch_size'] != 1)} of {data['tile']}×{data['tile']} pixels with "
        f"{optimizer} (learning rate {config['optimizer']['lr']:g}). Tiles were shifted, rotated, mirrored and "
        f"elastically deformed (3×3 grid). The weight map of the loss had w0 = {weight['w0']:g} and σ = "
        f"{weight['sigma']:g} pixels. The checkpoint and the threshold ({scores['threshold']:.1f}) were chosen by "
        f"{config['monitor']} on slices that were neither learnt from nor scored; the {len(scores['per_image'])} "
        "held-out slices were predicted by overlapping tiles and scored once."
    )


def read_curves(file: Path) -> dict[str, list[tuple[int, float]]]:
    """Of each column of ``metrics.csv`` its steps and values."""
    curves: dict[str, list[tuple[int, float]]] = {}
    with file.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            for name, value in row.items():
                if name not in ("step", "epoch") and value:
                    curves.setdefault(name, []).append((int(row["step"]) + 1, float(value)))
    return curves


def drawn_curves(curves: dict[str, list[tuple[int, float]]], monitor: str) -> str:
    """The curves of loss and of the score that chose the checkpoint, as SVG in the colour of the text around it."""
    shown = [name for name in ("train/loss", f"validation/{monitor}") if name in curves]
    figure = Figure(figsize=(9, 2.6 * max(1, len(shown))), layout="constrained")
    for place, name in enumerate(shown, start=1):
        axes = figure.add_subplot(len(shown), 1, place)
        axes.plot(*zip(*curves[name], strict=True), color="#0072B2", marker="." if len(curves[name]) < 40 else None)
        axes.set_title(name, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    axes.set_xlabel("step")
    drawing = io.StringIO()
    figure.savefig(drawing, format="svg", transparent=True, metadata={"Date": None})
    svg = drawing.getvalue()
    # So that it can be read on light and on dark.
    return svg[svg.index("<svg") :].replace("#000000", "currentColor").replace("stroke: #b0b0b0", "stroke: #888")


def panels(directory: Path, name: str) -> dict[str, str]:
    """The pictures of a slice as data URLs, by what they show."""
    files = {panel: panel_file(directory, name, panel) for panel in PANELS}
    return {
        panel: "data:image/webp;base64," + base64.b64encode(file.read_bytes()).decode()
        for panel, file in files.items()
        if file.exists()
    }
