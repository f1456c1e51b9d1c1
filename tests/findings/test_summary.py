"""An inspection in plain values and in lines."""

import json

import pytest

from src.data.finding import ERROR, NOTE, SHOWN_FILES, Finding
from src.data.folder import Meaning
from src.data.kinds import Judgement
from src.files.stored import SHOWN
from src.findings.inspection import Inspection
from src.findings.summary import described, lines, times
from tests.findings.broken import choices, facts


def finding(number=0, code="nan", severity=ERROR):
    return Finding(code, severity, f"{number}.tif", f"found {number}", "another", "mend it")


def inspected(**others):
    drawn = [facts(0), facts(1, size=(80, 96), dtype="uint16")]
    given = {
        "facts": drawn,
        "meaning": Meaning(Judgement("instances")),
        "void": None,
        "values": None,
        "groups": {},
        "findings": [],
        "reading": SHOWN,
    } | others
    return Inspection(**given)


def said(**others):
    return list(lines(described("cells", inspected(**others), choices())))


def test_an_inspection_is_plain_values_that_json_keeps():
    found = described("cells", inspected(groups={"train": ["cell_00"]}, findings=[finding()]), choices())
    assert json.loads(json.dumps(found)) == found
    shares = found.pop("classes")
    assert list(shares) == ["0", "1"] and sum(shares.values()) == pytest.approx(1)
    assert found == {
        "root": "cells",
        "slices": 2,
        "sizes": [[80, 96], [96, 96]],
        "channels": [1],
        "dtypes": ["uint16", "uint8"],
        "kind": "instances",
        "values": None,
        "colours": False,
        "names": [],
        "other": None,
        "void": None,
        "cells": 14,
        "smallest_cell": min(each.labels.area for each in inspected().facts),
        "split": {"train": ["cell_00"]},
        "orientation": "shown",
        "axes": None,
        "grey": [
            {"name": each.name, "cells": each.cells, "background": each.background, "clipped": each.clipped}
            for each in inspected().facts
        ],
        "findings": [vars(finding())],
    }


def test_nothing_that_can_be_read_is_told_by_its_findings_alone():
    found = described("cells", inspected(facts=[], findings=[finding()]), choices())
    assert (found["slices"], found["sizes"], found["smallest_cell"], found["classes"]) == (0, [], 0, {})
    expected = [
        "",
        "error nan",
        "  0.tif",
        "    found     found 0",
        "    expected  another",
        "    fix       mend it",
        "",
    ]
    assert list(lines(found)) == expected


def test_findings_are_counted_from_two_on():
    assert [times([{}] * count) for count in (1, 2, 30)] == ["", " (2 times)", " (30 times)"]


def test_the_first_lines_say_what_the_data_are():
    assert said()[:2] == [
        "2 images of 80×96 to 96×96 px, channels 1, uint16/uint8",
        "labels: instances; 14 cells; class 0 81.3%, class 1 18.7%",
    ]
    one = said(facts=[facts(0)], meaning=Meaning(Judgement("classes", (0, 128))), values=(0, 128))
    assert one[0] == "1 image of 96×96 px, channels 1, uint8"
    assert one[1].startswith("labels: classes with the values 0, 128; 7 areas; class 0 ")
    assert "; 14 pieces; " in said(meaning=Meaning(Judgement("binary")))[1]


def test_each_group_says_its_first_and_last_image():
    groups = {"train": ["a", "b", "c"], "validation": [], "held_out": ["d", "e"]}
    assert said(groups=groups)[2:-1] == [
        "training images: 3 (a … c)",
        "validation images: 0",
        "held-out images: 2 (d, e)",
    ]


def test_of_each_kind_of_finding_the_first_files_are_shown():
    many = [finding(number) for number in range(SHOWN_FILES + 2)] + [finding(9, "lossy-image", NOTE)]
    shown = said(findings=many)[2:]
    assert shown[:2] == ["", "error nan (5 times)"]
    assert [line for line in shown if line.endswith(".tif")] == ["  0.tif", "  1.tif", "  2.tif", "  9.tif"]
    assert shown[-7:-5] == ["", "note lossy-image"] and shown[-1] == ""
