"""Each way in which people's data are wrong has a finding, and no other one; data without fault have none."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.data.finding import ERROR, NOTE, WARNING
from src.data.folder import Meaning
from src.data.kinds import Judgement
from src.data.matching import Wanted
from src.data.stack import Stack, everywhere
from src.findings.inspection import inspect_folder, inspect_stack
from tests.data.own import IMAGES, change_image, change_labels, draw, folder, write
from tests.findings.broken import BROKEN, choices, classes, shrink

# Of which one file is wrong, and named.
ONE_FILE = {
    "no labels",
    "no image",
    "two of a name",
    "no picture",
    "half an image",
    "half the labels",
    "cropped labels",
    "labels as JPEG",
    "real numbers",
    "colours",
    "one resized mask",
    "interpolated numbers",
    "more than 255 cells in 8 bits",
    "few pixels of smooth edges",
    "a pickle",
    "smoothed colours",
    "negative",
    "another class",
    "a mask among them",
    "stray pixels",
    "empty",
    "from 1",
    "black",
    "overexposed",
    "NaN",
    "labels as image",
    "one colour image",
    "16 bits among 8",
    "another magnification",
    "moved labels",
    "twice",
    "one mask inverted",
    "wide cells",
    "nothing known",
}


@pytest.fixture
def own(tmp_path):
    return folder(tmp_path / "own")


def test_data_without_fault_have_no_finding(own):
    found = inspect_folder(own, choices(classes=2, channels=1, min_size=20, metrics=("f1_50",)))
    assert (found.findings, found.meaning, found.void) == ([], Meaning(Judgement("instances")), None)
    assert len(found.facts) == IMAGES
    assert {part: len(names) for part, names in found.groups.items()} == {"train": 7, "validation": 1, "held_out": 2}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named(name, own):
    code, severity, spoil, others = BROKEN[name]
    spoil(own)
    found = inspect_folder(own, choices(**others)).findings
    named = {(one.code, one.severity) for one in found}
    assert (code, severity) in named, found
    assert {each for each in named if each[1] != NOTE} <= {(code, severity)}, found
    for one in found:
        assert one.file.startswith(str(own)) and one.found and one.expected and one.fix
    if name in ONE_FILE:
        assert ["cell_03" in one.file for one in found if one.code == code] == [True]


def test_each_name_of_one_file_is_in_the_table():
    assert not ONE_FILE - BROKEN.keys()


def test_images_may_be_zarr(own):
    change_image(own, lambda image: image, suffix=".zarr")
    assert inspect_folder(own, choices(classes=2, channels=1)).findings == []


def test_sizes_tell_nothing_where_each_image_has_its_own(own):
    for number in range(IMAGES):
        change_image(own, lambda x, n=number: x[: 70 + 2 * n], [number])
        change_labels(own, lambda x, n=number: x[: 70 + 2 * n], [number])
    found = inspect_folder(own, choices()).findings
    assert not [one for one in found if one.code == "size-not-learnt" or one.severity == ERROR]


def test_errors_come_first_then_codes_and_files_in_their_order(own):
    change_labels(own, np.zeros_like, [2, 5])
    change_image(own, np.zeros_like, [4])
    (own / "labels/cell_08.tif").unlink()
    found = inspect_folder(own, choices()).findings
    assert [(one.severity, one.code, Path(one.file).stem) for one in found] == [
        (ERROR, "missing-label", "cell_08"),
        (WARNING, "constant-image", "cell_04"),
        (WARNING, "empty-label", "cell_02"),
        (WARNING, "empty-label", "cell_05"),
    ]


def test_slices_whose_labels_are_nonsense_are_left_out_of_what_labels_mean(own):
    change_labels(own, shrink, [3])
    found = inspect_folder(own, choices())
    assert found.meaning.judgement.kind == "instances" and "cell_03" not in [each.name for each in found.facts]
    assert "cell_03" in found.groups["train"]


def test_a_pattern_of_names_is_all_that_is_looked_at(own):
    (own / "labels/cell_08.tif").unlink()
    found = inspect_folder(own, choices(include="cell_0[0-6]"))
    assert [each.name for each in found.facts] == [f"cell_{n:02d}" for n in range(7)] and not found.findings


def test_values_stand_for_classes_where_they_are_no_small_numbers(own):
    change_labels(own, lambda labels: classes(labels) * 100)
    assert inspect_folder(own, choices(kind="classes")).meaning.judgement.values == (0, 100, 200)


def test_a_choice_that_is_none_is_refused(own):
    with pytest.raises(ValueError, match=r"data\.source\.kind"):
        inspect_folder(own, choices(kind="cells"))
    with pytest.raises(FileNotFoundError, match="there is none at"):
        inspect_folder(own / "none", choices())


def stack(targets):
    images, cells = zip(*map(draw, range(len(targets))), strict=True)
    names = [f"slice_{number}" for number in range(len(targets))]
    return Stack(np.stack(images), np.stack(targets), np.int32(cells), everywhere(targets), names)


def test_slices_in_memory_are_looked_at_by_their_targets():
    targets = [np.uint8(draw(number)[1] > 0) for number in range(6)]
    known = [np.ones(target.shape, bool) for target in targets]
    known[2][:5] = False
    found = inspect_stack(replace(stack(targets), known=known), choices())
    assert (found.findings, found.meaning.judgement) == ([], Judgement("binary"))
    assert [round(each.ignored * 96) for each in found.facts] == [0, 0, 5, 0, 0, 0]


def test_too_few_slices_in_memory_are_a_finding_of_the_data():
    (one,) = inspect_stack(stack([np.uint8(draw(number)[1] > 0) for number in range(2)]), choices()).findings
    assert (one.code, one.severity, one.file) == ("split", ERROR, "the data")


def codes(file):
    """The codes of findings that a file may make, as patterns of regular expressions."""
    tree = ast.parse(file.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    given = [node.args[0] for node in calls if getattr(node.func, "id", "") in ("Finding", "Note")]
    if any(getattr(each, "id", "") == "code" for each in given):
        assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
        given += [node.value for node in assigned if re.match(r"\(?code\b", ast.unparse(node.targets[0]))]
    for node in given:
        for each in (node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,):
            code = each.elts[0] if isinstance(each, ast.Tuple) else each
            parts = code.values if isinstance(code, ast.JoinedStr) else [code]
            if isinstance(code, ast.Constant | ast.JoinedStr):
                yield "".join(re.escape(part.value) if isinstance(part, ast.Constant) else ".+" for part in parts)


def test_each_code_has_a_row_in_the_table_of_findings():
    root = Path(__file__).parents[2]
    _, _, rows = (root / "data/README.md").read_text().partition("\n## Findings\n")
    table = re.findall(r"^\| `([a-z-]+)` \|", rows, re.MULTILINE)
    made = {code for file in (root / "src").rglob("*.py") for code in codes(file)}
    assert len(made) > 80 and table == sorted(set(table))
    assert not [code for code in made if not any(re.fullmatch(code, each) for each in table)]
    assert not [each for each in table if not any(re.fullmatch(code, each) for code in made)]
    assert {code for code, *_ in BROKEN.values()} <= set(table)


@pytest.mark.parametrize("place", ["labels/cell_{:02d}_{}.png", "labels/{1}/cell_{0:02d}.png"])
def test_what_two_people_have_drawn_is_refused_with_the_keys_that_choose(place, own):
    for number in range(IMAGES):
        (own / f"labels/cell_{number:02d}.tif").unlink()
        for person, shift in (("anna", 0), ("ben", 1)):
            file = own / place.format(number, person)
            file.parent.mkdir(exist_ok=True)
            write(file, (np.roll(draw(number)[1], shift, axis=1) > 0).astype(np.uint8) * 255)
    found = inspect_folder(own, choices())
    (one,) = (each for each in found.findings if each.code == "overlapping-files")
    assert one.severity == ERROR
    for key in one.fix.partition(";")[0].split(" or "):
        labels = key.removeprefix("data.source.labels=").strip("'")
        chosen = inspect_folder(own, replace(choices(), wanted=Wanted(labels=labels)))
        assert len(chosen.facts) == IMAGES and not [each for each in chosen.findings if each.severity == ERROR]
    asked = inspect_folder(own, replace(choices(), wanted=Wanted(classes=("anna", "ben"))))
    assert not [each for each in asked.findings if each.severity == ERROR]


def test_what_dataset_json_ignores_is_offered_as_not_annotated(own):
    change_labels(own, lambda cells: np.where(cells == 2, 9, cells > 0).astype(np.uint8))
    (own / "dataset.json").write_text('{"labels": {"background": 0, "cell": 1, "other": 2, "ignore": 9}}')
    found = inspect_folder(own, choices())
    assert found.void == (9, "classes") and "void-label" in {each.code for each in found.findings}
    again = inspect_folder(own, choices(ignore_label=9))
    assert again.meaning.legend.names == ("background", "cell", "other")
