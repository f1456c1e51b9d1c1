"""``NAME_outlines.geojson``: the outlines of cells as QuPath opens them, a detection a cell."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

from src.files.whole import complete_file
from src.prediction.outputs.cells import Cells, groups
from src.prediction.outputs.rings import Polygon, outlines

COMPACT = (",", ":")


def write(file: Path, cells: Cells, made_from: str) -> None:
    """Write a FeatureCollection, a feature a line, that appears under the file's name only when it is complete."""
    with complete_file(file) as partial, partial.open("w", encoding="utf-8", newline="\n") as lines:
        lines.write(_opening(made_from))
        for number, each in enumerate(features(cells, made_from)):
            lines.write(f"{',' if number else ''}\n{each}")
        lines.write("\n]}\n")


def _opening(made_from: str) -> str:
    return _text({"type": "FeatureCollection", "made_from": made_from, "features": []}).removesuffix("]}")


def made_from(file: Path) -> str:
    """What a GeoJSON file says that it was made from, without reading all of it.

    Raises:
        ValueError, KeyError, OSError: it is none of ours.
    """
    with file.open(encoding="utf-8") as lines:
        return json.loads(lines.readline(1000).strip() + "]}")["made_from"]


def features(cells: Cells, made_from: str) -> Iterator[str]:
    """A feature for each cell, named by its number; its id is the same whenever the same is predicted."""
    for group in groups(cells):
        place = cells.place(group.plane)
        # QuPath shows what lies on channel −1 on all channels.
        plane = {"plane": {"c": -1, "z": place.get("Z", 0), "t": place.get("T", 0)}} if place else {}
        for number, polygons in outlines(group, cells):
            kind = "Polygon" if len(polygons) == 1 else "MultiPolygon"
            feature = {
                "type": "Feature",
                "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{made_from} {group.plane} {number}")),
                "properties": {"objectType": "detection", "name": str(number), **_kind(cells, group.plane, number)},
                "geometry": {"type": kind, **plane, "coordinates": None},
            }
            # The rings of a large cell are written one by one, because lists take eight times the memory of text.
            yield _text(feature).removesuffix("null}}") + coordinates(polygons) + "}}"


def _text(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=COMPACT)


def coordinates(polygons: list[Polygon]) -> str:
    """Those of a Polygon, or of a MultiPolygon for a cell in several pieces; each ring ends where it begins."""
    each = [f"[{','.join(_text([*ring.tolist(), ring[0].tolist()]) for ring in polygon)}]" for polygon in polygons]
    return each[0] if len(each) == 1 else f"[{','.join(each)}]"


def _kind(cells: Cells, plane: int, number: int) -> dict:
    """The class of a cell, in the colour that it has in the annotation, if it has one there."""
    if not cells.kinds:
        return {}
    colours, kind = cells.legend.colours, int(cells.kinds[plane][number])
    colour = {"color": list(colours[kind])} if colours else {}
    return {"classification": {"name": cells.kind(plane, number), **colour}}
