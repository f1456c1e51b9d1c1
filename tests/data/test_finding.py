"""A finding says where, what, what instead, and how to mend it, also to who does not ask for findings."""

from dataclasses import asdict

import pytest

from src.data.finding import ERROR, NOTE, Finding, Findings, Refused, by_code

FOUND = Finding("nan", ERROR, "a.tif", "NaN", "finite grey values", "leave it out")


def test_a_finding_is_one_sentence_with_its_file_and_its_cure():
    assert str(FOUND) == "a.tif: expected finite grey values, but got NaN; leave it out"


def test_what_is_refused_is_an_error_with_its_finding():
    with pytest.raises(ValueError, match=r"^a\.tif: expected finite") as raised:
        raise Refused(FOUND)
    assert raised.value.finding == FOUND
    assert str(Refused(FOUND, "expected another split")) == "expected another split"


def test_findings_are_put_together_by_severity_and_code_in_their_order():
    others = [asdict(FOUND) | {"code": code, "severity": severity} for code, severity in (("b", NOTE), ("nan", NOTE))]
    alike = by_code([asdict(FOUND), *others, asdict(FOUND)])
    assert list(alike) == [(ERROR, "nan"), (NOTE, "b"), (NOTE, "nan")]
    assert [len(each) for each in alike.values()] == [2, 1, 1]


def test_findings_are_kept_as_they_are_and_nothing_else_is_taken_for_them():
    assert Findings.model_validate({"findings": [asdict(FOUND)]}).findings[0].code == "nan"
    with pytest.raises(ValueError, match="fix"):
        Findings.model_validate({"findings": [{key: value for key, value in asdict(FOUND).items() if key != "fix"}]})
