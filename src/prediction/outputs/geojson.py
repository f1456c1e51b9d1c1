"""``NAME_outlines.geojson``: the outlines of cells for QuPath, where each cell becomes a detection."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

from src.files.whole import complete_file
from src.prediction.outputs.cells import Cells, groups
from src.prediction.outputs.rings import Polygon, outlines

COMPACT = (",", ":")


def write(file: Path, cells: Cells, made_from: str) -> None:
    """Write the cells as a FeatureCollection, one feature per line; the file appears only when it is complete.

    Args:
        file: path of the GeoJSON file.
        cells: the cells of the image.
        made_from: text that identifies everything the cells depend on; it is stored in the file.
    """
    with complete_file(file) as partial, partial.open("w", encoding="utf-8", newline="\n") as lines:
        lines.write(_opening(made_from))
        for number, each in enumerate(features(cells, made_from)):
            lines.write(f"{',' if number else ''}\n{each}")
        lines.write("\n]}\n")


def _opening(made_from: str) -> str:
    return _text({"type": "FeatureCollection", "made_from": made_from, "features": []}).removesuffix("]}")


def made_from(file: Path) -> str:
    """Read the ``made_from`` text that `write` stored in the first line of a file.

    Raises:
        ValueError, KeyError, OSError: the file was not written by `write`.
    """
    with file.open(encoding="utf-8") as lines:
        origin: str = json.loads(lines.readline(1000).strip() + "]}")["made_from"]
    return origin


def features(cells: Cells, made_from: str) -> Iterator[str]:
    """Yield the GeoJSON feature of each cell as text, named by the cell's number; equal predictions give equal ids."""
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
    """Return JSON coordinates of a Polygon, or MultiPolygon if there are several; rings repeat their first corner."""
    each = [f"[{','.join(_text([*ring.tolist(), ring[0].tolist()]) for ring in polygon)}]" for polygon in polygons]
    return each[0] if len(each) == 1 else f"[{','.join(each)}]"


def _kind(cells: Cells, plane: int, number: int) -> dict[str, object]:
    """Return the property ``classification`` of a cell: name and known colour of its class; {} without classes."""
    if not cells.kinds:
        return {}
    colours, kind = cells.legend.colours, int(cells.kinds[plane][number])
    colour = {"color": list(colours[kind])} if colours else {}
    return {"classification": {"name": cells.kind(plane, number), **colour}}
