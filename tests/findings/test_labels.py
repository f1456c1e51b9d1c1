"""What is wrong with labels, each fault by itself."""

from dataclasses import replace

import numpy as np
import pytest

from src.findings import labels
from tests.findings.given import CHOICES, GROUP, codes, first, slices

FACTS = slices()


def relabelled(change):
    return slices(lambda image, cells: (image, change(cells)))


def described(**changes):
    """The facts of which the first has labels of another description."""
    return first(FACTS, labels=replace(FACTS[0].labels, **changes))


def test_labels_without_fault_have_no_finding():
    choices = replace(CHOICES, classes=2, metrics=("f1_50",), min_size=20)
    for check in (labels.values, labels.kinds, labels.objects, labels.scores):
        assert codes(check(FACTS, "instances", choices)) == []
    assert codes(labels.balance(FACTS, "instances", choices, GROUP)) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"counts": {-1: 10, 0: 5000, 3: 40}}, "negative-label"),
        ({"smoothed": True}, "smoothed-label"),
        ({"pieces": 5000}, "label-is-picture"),
        ({"counts": {0: 9216}}, "empty-label"),
        ({"counts": {1: 9000, 2: 216}}, "no-background"),
    ],
)
def test_a_label_image_with_one_fault_has_that_finding_alone(changes, code):
    (finding,) = labels.values(described(**changes), "instances", CHOICES)
    assert finding.code == code and finding.file.endswith("a0.tif")


def test_background_alone_is_said_once_of_a_folder():
    assert codes(labels.values(relabelled(lambda cells: cells * 0), "binary", CHOICES)) == [labels.NOTHING]


def test_a_label_that_nobody_uses_is_no_label_to_ignore():
    assert codes(labels.values(FACTS, "instances", replace(CHOICES, ignore_label=99))) == ["no-ignored-pixels"]


def of_classes(cells):
    return np.where(cells > 0, 1 + (cells % 3 == 0), 0).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        (of_classes, "instances", "classes-as-instances"),
        (lambda cells: cells, "classes", "instances-as-classes"),
        (lambda cells: cells, "binary", "instances-as-binary"),
        (of_classes, "binary", "classes-as-binary"),
    ],
)
def test_labels_that_are_taken_for_something_else_are_named(change, kind, code):
    assert code in codes(labels.kinds(relabelled(change), kind, CHOICES))


@pytest.mark.parametrize(("classes", "code"), [(2, "more-classes"), (4, "unused-class")])
def test_the_network_has_as_many_classes_as_the_labels(classes, code):
    (finding,) = labels.kinds(relabelled(of_classes), "classes", replace(CHOICES, classes=classes))
    assert (finding.code, finding.fix) == (code, "model.classes=3")


def test_a_value_that_was_not_named_is_found():
    (finding, *_) = labels.kinds(relabelled(of_classes), "classes", replace(CHOICES, values=(0, 1)))
    assert finding.code == "unexpected-value" and "the values 0, 1" in finding.expected


def test_a_cell_is_neither_larger_than_what_is_seen_nor_smaller_than_what_is_kept():
    assert codes(labels.objects(described(side=185), "instances", CHOICES)) == ["large-object"]
    assert codes(labels.objects(described(side=184), "instances", CHOICES)) == []
    choices = replace(CHOICES, min_size=50)
    assert codes(labels.objects(described(area=49.0), "instances", choices)) == ["small-object"]
    assert codes(labels.objects(described(area=49.0), "classes", choices)) == []


def test_shares_are_of_the_annotated_pixels():
    facts = [replace(FACTS[0], size=(10, 10), ignored=0.5, labels=replace(FACTS[0].labels, counts={0: 90, 7: 10}))]
    assert labels.class_shares(facts, "instances", CHOICES) == {0: pytest.approx(0.8), 1: pytest.approx(0.2)}


def test_a_class_that_is_rare_or_not_learnt_is_named():
    def counted(counts):
        return replace(FACTS[0].labels, counts=counts)

    facts = [replace(each, labels=counted({0: 9000, 1: 216})) for each in FACTS[:3]]
    facts.append(replace(FACTS[3], labels=counted({0: 9206, 2: 10})))
    found = codes(labels.balance(facts, "classes", CHOICES, GROUP))
    assert found == ["rare-class", "class-not-learnt"]


@pytest.mark.parametrize("kind", labels.EXPERIMENTS)
def test_scores_that_say_nothing_of_the_labels_are_named(kind):
    (finding,) = labels.scores(FACTS, kind, replace(CHOICES, metrics=("pixel_error",)))
    assert finding.code == "other-metrics" and finding.fix == f"experiment={labels.EXPERIMENTS[kind]}"
