"""How labels were taken is said with the keys that take them otherwise; inspection has each kind on disk."""

from dataclasses import replace

import numpy as np
import pytest

from src.data.agreement import laid, texture
from src.data.description import describe
from src.data.finding import ERROR, NOTE, WARNING
from src.data.folder import Meaning
from src.data.kinds import Judgement
from src.data.sources import Form
from src.files.legend import Legend
from src.findings.meanings import judgements
from tests.data import drawn
from tests.findings.broken import choices, facts, mask, meant, redrawn


def drawings(name, count=6):
    one = drawn.KINDS[name][2]
    return [
        replace(
            facts(number),
            labels=describe(*one(number)),
            texture=texture(laid(np.float32(one(number)[1]), one(number)[0])),
        )
        for number in range(count)
    ]


def said(found, kind="auto", values=None, void=None):
    return list(judgements(found, meant(found, kind, values), choices(kind=kind, values=values), void))


@pytest.mark.parametrize(
    ("name", "code", "severity", "fix"),
    [
        (
            *("organs", "few-numbers", NOTE),
            "experiment=classes data.source.kind=classes model.classes=4, or experiment=cells data.source.kind=instanc",
        ),
        (
            *("two cells", "few-numbers", NOTE),
            "experiment=cells data.source.kind=instances, or experiment=classes data.source.kind=classes model.class",
        ),
        (
            *("vessels", "thin-pieces", NOTE),
            "experiment=classes data.source.kind=classes, or experiment=cells data.source.kind=binary",
        ),
        (
            "white membranes",
            "inverted-labels",
            WARNING,
            "data.source.values=[255,0]; to segment the lines: experiment=classes",
        ),
        ("inverted mask", "inverted-labels", WARNING, "data.source.values=[255,0], if the pieces are the cells"),
        ("mixed masks", "mixed-mask", NOTE, "nothing"),
        ("ilastik", "no-zero", NOTE, "data.source.values=[2,1] takes the other"),
    ],
)
def test_what_was_taken_and_the_key_for_something_else(name, code, severity, fix):
    (one,) = said(drawings(name))
    assert (one.code, one.severity, one.file) == (code, severity, "labels") and one.fix.startswith(fix)


@pytest.mark.parametrize(("texture", "found"), [(0.1, True), (1.19, True), (1.2, False), (9.0, False), (None, False)])
def test_pieces_of_0_are_the_cells_unless_their_images_say_otherwise(texture, found):
    inverted = [replace(each, texture=texture) for each in drawings("inverted mask")]
    assert [each.code for each in said(inverted)] == ["inverted-labels"] * found


@pytest.mark.parametrize(("cells", "found"), [(0.1, True), (0.7, False), (None, False)])
def test_one_mask_the_other_way_round_than_most(cells, found):
    masks = [redrawn(number, mask) for number in range(5)]
    turned = redrawn(5, lambda labels: 255 - mask(labels))
    assert turned.cells < turned.background < masks[0].cells
    assert not said(masks)
    named = [each.file for each in said([*masks, replace(turned, cells=cells, background=0.5)])]
    assert named == ["labels/cell_05.tif"] * found


@pytest.mark.parametrize("name", ["organs", "two cells", "vessels"])
def test_what_was_asked_for_needs_no_word(name):
    for kind in ("instances", "classes", "binary"):
        assert said(drawings(name), kind) == []


@pytest.mark.parametrize("name", ["white membranes", "inverted mask", "ilastik"])
def test_values_that_were_chosen_need_none_either(name):
    assert said(drawings(name), values=(255, 0)) == said(drawings(name), values=(1, 2)) == []


def test_membranes_in_white_that_are_asked_for_as_membranes_are_doubted():
    (one,) = said(drawings("white membranes"), "boundary")
    assert one.code == "inverted-labels" and "the lines are read as membranes" in one.expected
    assert said(drawings("white membranes"), "classes") == []


def test_what_may_be_void_is_offered():
    drawing = np.kron([[0, 1], [255, 255]], np.ones((48, 48), int))
    found = [replace(facts(number), labels=describe(drawing)) for number in range(3)]
    one = said(found, void=255)[0]
    assert (one.code, one.found, one.fix) == (
        "void-label",
        "255 in 50.0% of the pixels, beside 0, 1",
        "data.source.ignore_label=255",
    )


def test_the_table_of_colours_is_shown_and_what_is_not_in_it_is_an_error():
    red, green = 0xFF0000, 0x00FF00
    found = [facts(0, in_colours=True, labels=describe(np.array([[0, red, green]] * 3)))]
    legend = Legend(names=("ground", "cell"), colours=((0, 0, 0), (255, 0, 0)))
    meaning = Meaning(Judgement("classes", (0, red)), legend, in_colours=True)
    table, other = judgements(found, meaning, choices(), None)
    assert (table.code, table.severity) == ("colour-labels", NOTE)
    assert table.found == "colours: 0 ground (0, 0, 0), 1 cell (255, 0, 0)" and "cell:255,0,0" in table.fix
    assert (other.code, other.severity, other.file) == ("unexpected-value", ERROR, "labels/cell_00.tif")
    assert "(0, 255, 0)" in other.found and "other:0,255,0" in other.fix
    (cells,) = judgements(found, Meaning(Judgement("instances", (0,)), in_colours=True), choices(), None)
    assert cells.expected == "cells on (0, 0, 0); they are read as cells"


@pytest.mark.parametrize(("share", "severity"), [(0.03, NOTE), (0.74, NOTE), (0.76, ERROR)])
def test_how_much_of_files_overlaps_is_said_once(share, severity):
    form = Form(said="classes", classes=("cell", "nucleus"))
    found = [facts(number, overlap=share, form=form) for number in range(4)]
    (one,) = (each for each in said(found) if each.code == "overlapping-files")
    assert one.severity == severity and one.found == f"{share:.1%} of what was drawn in several files"
    assert severity == ERROR or one.fix == "data.source.classes=[nucleus,cell] reverses the order"
    assert not [each for each in said([facts(0)]) if each.code == "overlapping-files"]
