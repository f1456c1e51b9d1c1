"""What one slice holds."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from src.data.finding import Finding, Refused
from src.findings.facts import look, look_at_files
from tests.findings.given import annotated


def test_the_facts_of_a_drawing():
    given = annotated(0)
    facts = look(given)
    assert (facts.name, facts.size, facts.channels, facts.dtype) == ("a0", (96, 96), 1, "uint8")
    assert facts.finite and facts.levels == 5 and facts.ignored == 0 and facts.shift is None
    assert facts.digest == hashlib.sha256(given.image).hexdigest()
    assert facts.labels.cells == given.labels.max() and not facts.is_its_labels and not facts.lossy
    assert np.linalg.norm(facts.thumbnail) == pytest.approx(1) and abs(facts.thumbnail.sum()) < 1e-4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda image, labels: (image.astype(np.float32) * np.nan, labels), {"finite": False}),
        (lambda image, labels: (image * 0, labels), {"levels": 1}),
        (lambda image, labels: (image // 100, labels), {"levels": 2}),
        (lambda image, labels: (labels, labels), {"is_its_labels": True}),
        (lambda image, labels: (np.stack([image] * 3, -1), labels), {"channels": 3}),
        (lambda image, labels: (np.full_like(image, 255), labels), {"saturated": 1.0}),
        (lambda image, labels: (np.full_like(image, 254), labels), {"saturated": 0.0}),
    ],
)
def test_what_was_done_to_an_image_shows(change, expected):
    facts = look(annotated(0, change))
    assert {name: getattr(facts, name) for name in expected} == expected


def test_what_nobody_has_annotated_is_background_and_counted():
    facts = look(annotated(0, lambda image, labels: (image, np.where(labels == 2, 99, labels))), ignore_label=99)
    cells = annotated(0).labels
    assert facts.ignored == pytest.approx((cells == 2).mean())
    assert 99 not in facts.labels.counts and facts.labels.counts[0] == (np.isin(cells, (0, 2))).sum()


@pytest.mark.parametrize("moved", [(5, 0), (-4, 6)])
def test_labels_that_lie_beside_their_image_are_found(moved):
    facts = look(annotated(1, lambda image, labels: (image, np.roll(labels, moved, (0, 1)))))
    assert facts.shift == moved


def test_files_that_cannot_be_used_say_why():
    finding = Finding("unreadable", "error", "a.tif", "nothing", "an image", "copy it again")

    def read(pair):
        raise Refused(finding)

    assert look_at_files(annotated(0).pair, None, read) == ([], [finding])


def test_files_are_read_by_who_has_read_them():
    given = annotated(0)
    (facts,), findings = look_at_files(given.pair, None, lambda pair: [replace(given, name=f"{pair.name}_000")])
    assert facts.name == "a0_000" and findings == []
