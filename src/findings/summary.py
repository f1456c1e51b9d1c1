"""Convert the results of an inspection to plain values for check.json, and these values to lines of text."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from src.data.finding import SHOWN_FILES, Findings, by_code
from src.data.numbers import unpacked
from src.files.reading import Layout, Number
from src.findings.facts import Choices
from src.findings.inspection import Inspection
from src.findings.labels import class_shares
from src.findings.split import USES


class Grey(Layout):
    """Median scaled grey values of one image's cells and background, and the clipped share, see `facts.Facts`."""

    name: str
    cells: Number | None
    background: Number | None
    clipped: Number


class Summary(Findings):
    """Layout of ``check.json``, as returned by `described`."""

    root: str
    slices: int
    sizes: list[list[int]]
    channels: list[int]
    dtypes: list[str]
    kind: str
    values: list[int] | None
    colours: bool
    names: list[str]
    other: str | None
    void: list[int | str] | None
    cells: int
    smallest_cell: float
    classes: dict[str, float]
    split: dict[str, list[str]]
    orientation: str
    axes: str | None
    grey: list[Grey]


def described(root: str, found: Inspection, choices: Choices) -> dict[str, Any]:
    """Convert an inspection to plain values in the layout `Summary`, to be written to ``check.json``.

    Args:
        root: the data set's folder; empty if the data do not come from a folder of the user.
        found: the results of the inspection.
        choices: the settings that the data were checked against.
    """
    sides = sorted({each.size for each in found.facts})
    shares = class_shares(found.facts, found.meaning.judgement.kind, replace(choices, values=found.values))
    areas = [each.labels.area for each in found.facts if each.labels.area]
    return {
        "root": root,
        "slices": len(found.facts),
        "sizes": [list(side) for side in dict.fromkeys((sides[0], sides[-1]))] if sides else [],
        "channels": sorted({each.channels for each in found.facts}),
        "dtypes": sorted({each.dtype for each in found.facts}),
        "kind": found.meaning.judgement.kind,
        "values": list(values) if (values := found.meaning.judgement.values) else None,
        "colours": found.meaning.in_colours,
        "names": list(found.meaning.legend.names),
        "other": found.meaning.judgement.other,
        "void": list(found.void) if found.void else None,
        "cells": sum(each.labels.cells for each in found.facts),
        "smallest_cell": min(areas, default=0),
        "classes": {str(number): share for number, share in shares.items()},
        "split": found.groups,
        "orientation": found.reading.orientation,
        "axes": found.reading.axes,
        "grey": [
            {"name": each.name, "cells": each.cells, "background": each.background, "clipped": each.clipped}
            for each in found.facts
        ],
        "findings": [asdict(finding) for finding in found.findings],
    }


def times(findings: list[dict[str, str]]) -> str:
    """Format the number of findings of one kind, such as "(3 times)"; empty for a single finding."""
    return f" ({len(findings)} times)" if len(findings) > 1 else ""


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield lines of text on the data, then on each kind of finding, with the first `SHOWN_FILES` files that have it.

    Args:
        found: the inspection as plain values, from `described`.
    """
    if found["slices"]:
        sizes = " to ".join("×".join(map(str, side)) for side in found["sizes"])
        channels, dtypes = ("/".join(map(str, found[key])) for key in ("channels", "dtypes"))
        count = f"{found['slices']} image{'' if found['slices'] == 1 else 's'}"
        yield f"{count} of {sizes} px, channels {channels}, {dtypes}"
        names = {str(number): f" {name}" for number, name in enumerate(found["names"])}
        shares = ", ".join(
            f"class {number}{names.get(number, '')} {share:.1%}" for number, share in found["classes"].items()
        )
        plain = found["values"] in (None, list(range(len(found["values"] or ()))))
        values = map(str, map(unpacked, found["values"])) if found["colours"] else map(str, found["values"] or ())
        named = "" if plain else f" with the {'colours' if found['colours'] else 'values'} {', '.join(values)}"
        what = {"instances": "cells", "classes": "areas"}.get(found["kind"], "pieces")
        yield f"labels: {found['kind']}{named}; {found['cells']} {what}; {shares}"
    for group, names in found["split"].items():
        shown = f"{names[0]} … {names[-1]}" if len(names) > 2 else ", ".join(names)
        yield f"{USES[group]} images: {len(names)}{f' ({shown})' if names else ''}"
    for (severity, code), findings in by_code(found["findings"]).items():
        yield ""
        yield f"{severity} {code}{times(findings)}"
        for finding in findings[:SHOWN_FILES]:
            yield f"  {finding['file']}"
            for key in ("found", "expected", "fix"):
                yield f"    {key:<10}{finding[key]}"
    yield ""
