"""What was found, as plain values and as lines."""

import json

from src.data.finding import ERROR, Finding
from src.findings.inspection import Inspection
from src.findings.summary import Summary, described, lines, times
from tests.findings.given import CHOICES, GROUP, slices

GROUPS = {"train": ["a0", "a1"], "validation": ["a2"], "held_out": ["a3"]}
NAN = Finding("nan", ERROR, "a0.png", "NaN", "finite grey values", "leave it out")


def summary(*findings):
    return described("own", Inspection(slices(), "instances", None, GROUPS, list(findings)), CHOICES)


def test_a_summary_is_plain_and_is_kept_as_it_is():
    found = summary(NAN)
    assert json.loads(json.dumps(found)) == found
    assert Summary.model_validate(found).findings[0].fix == "leave it out"
    assert (found["slices"], found["sizes"], found["channels"], found["dtypes"]) == (4, [[96, 96]], [1], ["uint8"])
    assert sum(found["classes"].values()) == 1 and len(GROUP) == found["slices"]


def test_the_lines_say_what_the_data_are_and_name_the_first_files():
    text = "\n".join(lines(summary(*[NAN] * 5)))
    assert text.startswith("4 slices of 96×96 px, channels 1, uint8\nlabels: instances; 28 cells; class 0 ")
    assert "train: 2 slices (a0, a1)\n" in text and "held-out: 1 slices (a3)\n" in text
    assert "error nan (5 times)" in text and text.count("a0.png") == 3
    assert "    found     NaN\n    expected  finite grey values\n    fix       leave it out" in text


def test_once_is_not_counted():
    assert (times([{}]), times([{}, {}])) == ("", " (2 times)")
