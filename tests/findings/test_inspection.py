"""A folder is looked at as a whole: what is refused in one image stops no look at the others."""

from dataclasses import replace

from src.data.phantom import phantom
from src.findings.inspection import inspect_folder, inspect_stack
from tests.data.own import IMAGES, change_labels, folder
from tests.findings.given import CHOICES, codes


def test_a_folder_without_fault(tmp_path):
    found = inspect_folder(folder(tmp_path / "own"), "*", CHOICES)
    assert (codes(found.findings), found.kind, found.values) == ([], "instances", None)
    assert len(found.facts) == IMAGES and sum(map(len, found.groups.values())) == IMAGES


def test_labels_that_are_nonsense_are_named_and_left_out_of_what_is_concluded(tmp_path):
    root = folder(tmp_path / "own")
    change_labels(root, lambda labels: labels.astype("int16") - 1, [3])
    found = inspect_folder(root, "*", CHOICES)
    assert codes(found.findings) == ["negative-label"]
    assert len(found.facts) == IMAGES - 1


def test_a_split_that_is_none_is_a_finding_of_the_folder(tmp_path):
    root = folder(tmp_path / "own")
    groups = {"train": "0-5", "validation": "6", "held_out": "6-7"}
    found = inspect_folder(root, "*", replace(CHOICES, groups=groups))
    (finding,) = found.findings
    assert (finding.code, finding.file, finding.found) == ("split", str(root), "slice 6 in validation and held_out")
    assert finding.expected == "each slice in one group" and found.groups == {}


def test_what_reads_the_files_may_be_somebody_else(tmp_path):
    from src.data.folder import ReadTwice

    root, read = folder(tmp_path / "own", 3), ReadTwice()
    inspect_folder(root, "*", CHOICES, read)
    assert sorted(pair.name for pair in read.held) == ["cell_00", "cell_01", "cell_02"]


def test_slices_in_memory_are_looked_at_too():
    groups = {"train": "0-2", "validation": "3", "held_out": "4"}
    found = inspect_stack(phantom(slices=5, size=64), replace(CHOICES, groups=groups))
    assert len(found.facts) == 5 and set(codes(found.findings)) <= {"neighbouring-slices", "near-duplicate"}
