"""A finding in a line, findings of a kind together, and the error that carries one."""

import pickle
from dataclasses import asdict

import pytest

from src.data.finding import ERROR, NOTE, Finding, Findings, Refused, by_code

FINDING = Finding("nan", ERROR, "a.tif", "NaN", "finite grey values", "leave it out")


def test_a_finding_is_a_line():
    assert str(FINDING) == "a.tif: expected finite grey values, but got NaN; leave it out"


def test_findings_of_a_kind_stand_together_in_their_order():
    given = [("b", ERROR, 1), ("a", NOTE, 2), ("b", NOTE, 3), ("b", ERROR, 4)]
    alike = by_code([{"code": code, "severity": severity, "file": file} for code, severity, file in given])
    assert [(key, [each["file"] for each in each_kind]) for key, each_kind in alike.items()] == [
        ((ERROR, "b"), [1, 4]),
        ((NOTE, "a"), [2]),
        ((NOTE, "b"), [3]),
    ]


def test_refused_says_its_finding_or_what_it_is_given():
    refused = Refused(FINDING)
    assert isinstance(refused, ValueError) and refused.finding is FINDING
    assert str(refused) == str(FINDING)
    assert str(Refused(FINDING, "expected another split")) == "expected another split"


def test_refused_comes_whole_out_of_another_process():
    again = pickle.loads(pickle.dumps(Refused(FINDING, "expected another split")))
    assert (str(again), again.finding) == ("expected another split", FINDING)


def test_findings_are_kept_as_they_are_and_nothing_else_is_taken_for_them():
    assert Findings.model_validate({"findings": [asdict(FINDING)]}).findings[0].code == "nan"
    with pytest.raises(ValueError, match="fix"):
        Findings.model_validate({"findings": [{key: value for key, value in asdict(FINDING).items() if key != "fix"}]})
