"""``NAME_outlines.geojson``: the outlines of cells for QuPath, one detection for each cell."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

from src.files.whole import complete_file
from src.prediction.outputs.cells import Cells, groups
from src.prediction.outputs.rings import Polygon, outlines

COMPACT = (",", ":")


def write(file: Path, cells: Cells, made_from: str) -> None:
    """Write a FeatureCollection with one feature on each line; the file appears only when it is complete."""
    with complete_file(file) as partial, partial.open("w", encoding="utf-8", newline="\n") as lines:
        lines.write(_opening(made_from))
        for number, each in enumerate(features(cells, made_from)):
            lines.write(f"{',' if number else ''}\n{each}")
        lines.write("\n]}\n")


def _opening(made_from: str) -> str:
    return _text({"type": "FeatureCollection", "made_from": made_from, "features": []}).removesuffix("]}")


def made_from(file: Path) -> str:
    """Read what a GeoJSON file was made from, without reading all of it.

    Raises:
        ValueError, KeyError, OSError: `write` did not write the file.
    """
    with file.open(encoding="utf-8") as lines:
        origin: str = json.loads(lines.readline(1000).strip() + "]}")["made_from"]
    return origin


def features(cells: Cells, made_from: str) -> Iterator[str]:
    """Yield a feature for each cell, named by its number; the same prediction gives the same ids."""
    for group in groups(cells):
        place = cells.place(group.plane)
        # QuPath shows channel −1 on all channels.
        plane = {"plane": {"c": -1, "z": place.get("Z", 0), "t": place.get("T", 0)}} if place else {}
        for number, polygons in outlines(group, cells):
            kind = "Polygon" if len(polygons) == 1 else "MultiPolygon"
            feature = {
                "type": "Feature",
                "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{made_from} {group.plane} {number}")),
                "properties": {"objectType": "detection", "name": str(number), **_kind(cells, group.plane, number)},
                "geometry": {"type": kind, **plane, "coordinates": None},
            }
            # Rings are converted one by one, because lists take eight times the memory of text.
            yield _text(feature).removesuffix("null}}") + coordinates(polygons) + "}}"


def _text(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=COMPACT)


def coordinates(polygons: list[Polygon]) -> str:
    """Return coordinates of a Polygon, or of a MultiPolygon for several pieces; each ring repeats its first corner."""
    each = [f"[{','.join(_text([*ring.tolist(), ring[0].tolist()]) for ring in polygon)}]" for polygon in polygons]
    return each[0] if len(each) == 1 else f"[{','.join(each)}]"


def _kind(cells: Cells, plane: int, number: int) -> dict[str, object]:
    """The class of a cell, with its colour in the annotation, if it has one."""
    if not cells.kinds:
        return {}
    colours, kind = cells.legend.colours, int(cells.kinds[plane][number])
    colour = {"color": list(colours[kind])} if colours else {}
    return {"classification": {"name": cells.kind(plane, number), **colour}}
