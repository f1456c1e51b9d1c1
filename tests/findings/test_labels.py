"""Checks of labels: what each finds, and where it begins to."""

from dataclasses import replace

import numpy as np
import pytest

from src.data.finding import ERROR, NOTE, WARNING
from src.data.folder import Meaning
from src.data.kinds import Judgement
from src.findings.labels import (
    balance,
    class_shares,
    larger_field,
    object_sizes,
    other_metrics,
    wrong_kind,
    wrong_values,
)
from src.findings.meanings import EXPERIMENTS
from src.tiles.geometry import nearest_valid_sides
from tests.data.own import SIDE
from tests.findings.broken import choices, classes, described, facts, mask, meant, rare, redrawn

DRAWN = [facts(number) for number in range(4)]
CLASSES = [redrawn(number, classes) for number in range(4)]
MASKS = [redrawn(number, mask) for number in range(4)]
LAST = "labels/cell_03.tif"
GROUP = {"cell_00": "train", "cell_01": "train", "cell_02": "validation", "cell_03": "held_out"}


def with_last(**others):
    """Four slices, the labels of the last one of which hold something else."""
    return [*DRAWN[:3], described(3, **others)]


def given(*values):
    """What classes mean whose values were chosen."""
    return Meaning(Judgement("classes", values))


CELLS, MASK = Meaning(Judgement("instances")), Meaning(Judgement("binary"))


def short(findings):
    return [(each.code, each.severity, each.file) for each in findings]


@pytest.mark.parametrize(
    ("others", "code", "severity", "found"),
    [
        ({"counts": {-1: 3, 0: 1}, "smoothed": True}, "negative-label", ERROR, "-1: 75.0%, 0: 25.0%"),
        ({"counts": {0: 1, 1: 3}, "smoothed": True, "pieces": 999}, "smoothed-label", ERROR, "1: 75.0%, 0: 25.0%"),
        ({"pieces": SIDE * SIDE // 20 + 1}, "label-is-picture", ERROR, "8 values in 461 pieces"),
        ({"counts": {0: 9}}, "empty-label", WARNING, "background only"),
        ({"counts": {1: 3, 2: 1}}, "no-background", WARNING, "1: 75.0%, 2: 25.0%"),
    ],
)
def test_values_that_nobody_can_have_meant(others, code, severity, found):
    (one,) = wrong_values(with_last(**others), CELLS, choices())
    assert short([one]) == [(code, severity, LAST)] and found in one.found


@pytest.mark.parametrize(
    "others", [{}, {"pieces": SIDE * SIDE // 20}, {"pieces": 999, "counts": {0: 1, 1: 1, 2: 1, 3: 1}}]
)
def test_values_that_somebody_may_have_meant(others):
    assert not list(wrong_values(with_last(**others), CELLS, choices()))


def test_many_values_are_counted_and_not_listed():
    (one,) = wrong_values(with_last(counts={value: 9 - value for value in range(-1, 8)}), CELLS, choices())
    assert one.found == "-1: 18.5%, 0: 16.7%, 1: 14.8%, 2: 13.0%, 3: 11.1%, 4: 9.3% and 3 more values"
    assert one.fix == "data.source.ignore_label=-1, if these pixels are unannotated"


def test_background_may_be_a_class_or_unknown():
    full = with_last(counts={1: 3, 2: 1})
    assert not list(wrong_values(full, given(1, 2), choices()))
    assert not list(wrong_values([*DRAWN[:3], facts(3, labels=full[3].labels, ignored=0.1)], CELLS, choices()))


def test_all_labels_are_empty():
    (one,) = wrong_values([described(number, counts={0: 9}) for number in range(4)], MASK, choices())
    assert short([one]) == [("nothing-annotated", ERROR, "labels")]


def test_what_nobody_has_annotated():
    unknown = choices(ignore_label=255)
    (one,) = wrong_values([*DRAWN[:3], facts(3, ignored=1.0)], CELLS, unknown)
    assert short([one]) == [("nothing-known", WARNING, LAST)] and one.found == "only pixels of ignore_label=255"
    (one,) = wrong_values(DRAWN, CELLS, unknown)
    assert short([one]) == [("no-ignored-pixels", WARNING, "labels")]
    assert not list(wrong_values([*DRAWN[:3], facts(3, ignored=0.5)], CELLS, unknown))


@pytest.mark.parametrize(
    ("drawn", "kind", "code", "severity", "found", "fix"),
    [
        (DRAWN, "classes", "instances-as-classes", WARNING, "7 values, each in one piece", "kind=instances"),
        (CLASSES, "instances", "classes-as-instances", WARNING, "the values 1, 2, each in many pieces", "kind=classes"),
        (DRAWN, "binary", "instances-as-binary", WARNING, "7 values beside 0", "kind=instances"),
        (CLASSES, "boundary", "classes-as-boundary", WARNING, "2 values beside 0", "kind=classes"),
    ],
)
def test_labels_of_another_kind(drawn, kind, code, severity, found, fix):
    one = next(each for each in wrong_kind(drawn, meant(drawn, kind), choices(kind=kind)) if each.severity != NOTE)
    assert short([one]) == [(code, severity, "labels")]
    assert found in one.found and one.fix == f"data.source.{fix}"


@pytest.mark.parametrize(("drawn", "kind"), [(DRAWN, "instances"), (CLASSES, "classes"), (MASKS, "binary")])
@pytest.mark.parametrize("network", [None, 2, 3, 4])
def test_labels_of_their_kind_for_networks_of_other_classes(drawn, kind, network):
    own = 3 if kind == "classes" else 2
    found = list(wrong_kind(drawn, meant(drawn, kind), choices(classes=network)))
    if network in (None, own):
        assert not found
    else:
        more = network < own
        code, severity = ("more-classes", ERROR) if more else ("unused-class", WARNING)
        assert short(found) == [(code, severity, "labels")]
        assert f"model.classes={own}" in found[0].fix and str(network) in found[0].expected


def test_a_network_has_two_classes_at_least():
    (one,) = wrong_kind([described(counts={0: 9})], given(0), choices(classes=3))
    assert (one.found, one.fix) == ("2 classes", "model.classes=2")


def test_values_of_no_class():
    found = list(wrong_kind([*MASKS[:3], described(3, counts={0: 3, 2: 1})], given(0, 255), choices()))
    assert short(found) == [("unexpected-value", ERROR, LAST)]
    assert (found[0].found, found[0].expected) == ("0: 75.0%, 2: 25.0%", "the values 0, 255")
    assert len(list(wrong_kind(CLASSES, given(0, 1), choices()))) == 4


def test_background_that_is_no_class_is_what_nobody_has_annotated():
    counts = {0: 3, 1: 2, 2: 1}
    known = [described(number, counts=counts, single=0.0) for number in range(4)]
    unknown = [facts(number, labels=each.labels, ignored=0.5) for number, each in enumerate(known)]
    assert [one.code for one in wrong_kind(known, given(1, 2), choices())] == ["unexpected-value"] * 4
    assert not list(wrong_kind(unknown, given(1, 2), choices()))


def test_numbers_in_pieces_and_numbers_of_many_cells():
    (one,) = wrong_kind([*DRAWN[:3], facts(3, scattered=1)], CELLS, choices())
    assert short([one]) == [("cell-in-pieces", NOTE, LAST)] and one.found == "1 of 7 numbers in several pieces"
    (one,) = wrong_kind(with_last(counts={0: 9, 4: 9}, single=0.0, pieces=3), CELLS, choices())
    assert short([one]) == [("one-number-many-cells", WARNING, LAST)] and one.found == "3 cells, all numbered 4"
    assert not list(wrong_kind(with_last(counts={0: 9, 4: 9}, single=0.0, pieces=2), CELLS, choices()))


def wide(width, size=(400, 500)):
    """Four slices, the last one of which has a cell so wide."""
    return [*DRAWN[:3], facts(3, width=width, size=size)]


@pytest.mark.parametrize(
    ("width", "fix"),
    [
        (40, None),
        (41, "model.depth=3, or scale images and labels by 0.97"),
        (88, "model.depth=3, or scale images and labels by 0.45"),
        (89, "model.depth=4, or scale images and labels by 0.44"),
        (376, "model.depth=5, or scale images and labels by 0.10"),
        (377, "scale images and labels by 0.10"),
        (9999, "scale images and labels by 0.01"),
    ],
)
def test_cells_from_whose_middle_the_network_sees_no_edge(width, fix):
    found = list(object_sizes(wide(width), "instances", choices()))  # it sees 40 pixels at depth 2
    assert [(*short([one])[0], one.fix) for one in found] == [("large-object", WARNING, LAST, fix)] * bool(fix)


@pytest.mark.parametrize(("side", "deeper"), [(99, False), (100, True)])
@pytest.mark.parametrize("padded", [False, True])
def test_a_deeper_network_is_advised_where_its_smallest_tile_fits_the_image(side, deeper, padded):
    smallest = nearest_valid_sides(1, 3, padded)[0]
    fix = larger_field(60, smallest + side - 100, choices(padded=padded))
    assert fix.startswith("model.depth=3, or scale") == deeper and "scale images and labels by 0." in fix


def test_scaled_as_advised_a_cell_is_seen():
    for width in (41, 57, 199, 377, 1000):
        factor = float(larger_field(width, 10, choices()).split()[-1])
        assert width * factor <= 40 < width * (factor + 0.01)


def test_a_padded_network_sees_more():
    assert not list(object_sizes(wide(48), "binary", choices(padded=True)))
    assert short(object_sizes(wide(49), "binary", choices(padded=True))) == [("large-object", WARNING, LAST)]


def test_cells_that_prediction_drops():
    given = choices(min_size=100)
    (one,) = object_sizes(with_last(area=99.6), "instances", given)
    assert short([one]) == [("small-object", WARNING, LAST)]
    assert (one.found, one.fix) == ("cells of 100 px", "instances.min_size=33")
    for area in (100.0, 0.0):
        assert not list(object_sizes(with_last(area=area), "instances", given))


@pytest.mark.parametrize(("thin", "severity"), [(1, NOTE), (2, WARNING)])
def test_cells_too_thin_for_the_target_are_counted(thin, severity):
    one = replace(with_last(cells=20)[3], thin=thin)
    (found,) = object_sizes([*DRAWN[:3], one], "instances", choices())
    assert (found.code, found.severity, found.file) == ("thin-object", severity, LAST)
    assert (found.found, found.fix) == (f"{thin} of 20 cells too thin to have an inside", "target=classes")


@pytest.mark.parametrize("kind", ["boundary", "classes"])
def test_sizes_are_those_of_cells(kind):
    assert not list(object_sizes([facts(3, width=999), *with_last(area=1.0)], kind, choices(min_size=100)))


def test_the_shares_of_classes_are_those_of_the_annotated_pixels():
    counts = {0: 50, 1: 30, 128: 20}
    one = facts(size=(10, 10), ignored=0.25, labels=described(counts=counts).labels)
    assert class_shares([one], "instances", choices()) == {0: 25 / 75, 1: 50 / 75}
    assert class_shares([one], "binary", choices(values=(128, 1))) == {0: 45 / 75, 1: 30 / 75}
    assert class_shares([one], "classes", choices(values=(0,))) == {0: 25 / 75, 1: 50 / 75}
    assert class_shares([one], "classes", choices(values=(0, 1, 128, 7)))[3] == 0
    assert class_shares([one], "classes", choices(values=(0, 128, 1))) == {0: 25 / 75, 1: 20 / 75, 2: 30 / 75}
    assert class_shares([], "classes", choices()) == {}


def test_a_class_is_rare_below_one_in_a_hundred():
    drawn = [redrawn(number, rare) for number in range(4)]
    (one,) = balance(drawn, "classes", choices(), {})
    assert short([one]) == [("rare-class", NOTE, "labels")]
    assert one.found == f"class 2 in {25 / SIDE**2:.2%} of the pixels"
    common = [described(counts={0: 98, 1: 1, 2: 1})]
    assert not list(balance(common, "classes", choices(), {}))


def test_a_class_is_held_out_alone():
    drawn = [redrawn(number, lambda labels: np.uint8(labels > 0)) for number in range(3)] + [CLASSES[3]]
    (one,) = balance(drawn, "classes", choices(), GROUP)
    assert short([one]) == [("class-not-learnt", WARNING, "labels")] and one.found == "class 2 in no training image"
    assert not list(balance(drawn, "classes", choices(), {}))
    assert not list(balance(drawn, "classes", choices(), GROUP | {"cell_03": "train"}))


@pytest.mark.parametrize(
    ("kind", "wanted", "experiment"),
    [
        ("boundary", "v_rand", "membranes"),
        ("classes", "iou", "classes"),
        ("instances", "f1_50", "cells"),
        ("binary", "f1_50", "cells"),
    ],
)
def test_scores_are_of_the_kind_of_labels(kind, wanted, experiment):
    (one,) = other_metrics(DRAWN, kind, choices(metrics=("a", "b", "c", "d")))
    assert short([one]) == [("other-metrics", WARNING, "labels")]
    assert one.found == f"labels of kind {kind}, scored by a, b, c"
    assert (one.expected, one.fix) == (f"scores such as {wanted}", f"experiment={experiment}")
    assert EXPERIMENTS[kind] == experiment
    assert not list(other_metrics(DRAWN, kind, choices(metrics=("a", wanted))))
    assert not list(other_metrics(DRAWN, kind, choices()))
