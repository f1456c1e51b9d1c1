"""The split: slices by number and by name, in groups that have none in common, or chosen by itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.finding import ERROR, Refused
from src.data.split import automatic_split, check_groups, chosen, split

NAMES = [f"slice_{number:02d}" for number in range(100)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0-19", list(range(20))),
        ("0-9,15", [*range(10), 15]),
        ("", []),
        (" 3 - 5 ", [3, 4, 5]),
        ("29", [29]),
        ("slice_1*", list(range(10, 20))),
        ("slice_0[0-2], 5", [0, 1, 2, 5]),
        ("4,2", [4, 2]),
    ],
)
def test_slices_are_chosen_by_number_and_by_name(text, numbers):
    assert chosen(text, NAMES[:30]) == numbers


@given(st.integers(0, 40), st.integers(0, 40), st.integers(81, 99))
@settings(max_examples=30, deadline=None)
def test_slice_numbers_of_any_range_are_that_range(first, length, single):
    assert chosen(f"{first}-{first + length},{single}", NAMES) == [*range(first, first + length + 1), single]


@pytest.mark.parametrize(
    "text", ["a", "1-b", "-3", "1-2-3", "1;2", "1.5", "3-", "3 5", "0-3,2", "²", "None", "slice_2?,25", "plate*", ","]
)
def test_slice_numbers_refuse_other_texts(text):
    with pytest.raises(ValueError, match=r"expected slices such as 0-19 or 0-9,15, or names such as slice_00"):
        chosen(text, NAMES[:30])


def test_slice_numbers_refuse_a_range_that_runs_backwards():
    with pytest.raises(ValueError, match="5-3"):
        chosen("5-3", NAMES)


def test_slice_numbers_beyond_the_stack_name_the_last_slice():
    with pytest.raises(ValueError, match=r"from 0 to 9, but got '3-99'; nearest valid: 9"):
        chosen("3-99", NAMES[:10])
    assert chosen("9", NAMES[:10]) == [9]


def test_disjoint_groups_may_lie_anyhow():
    check_groups({"train": [0, 1, 5], "validation": [], "held_out": [3]})


@pytest.mark.parametrize("group", ["train", "held_out"])
def test_there_is_something_to_learn_from_and_to_score(group):
    with pytest.raises(ValueError, match=f"at least one slice in data.{group}"):
        check_groups({"train": [0], "validation": [], "held_out": [1]} | {group: []})


def test_a_slice_belongs_to_one_group():
    with pytest.raises(ValueError, match="slice 5 in train and held_out"):
        split({"train": "0-5", "validation": "", "held_out": "5-7"}, NAMES)


def test_all_groups_are_automatic_or_none():
    with pytest.raises(ValueError, match=r"auto in validation; nearest valid: data.validation=0-99"):
        split({"train": "0-5", "validation": "auto", "held_out": "7"}, NAMES)


@pytest.mark.parametrize(
    ("train", "message", "found", "fix"),
    [
        ("3-99", "expected slices from 0 to 9, but got '3-99'; nearest valid: 9", "'3-99'", "9"),
        (
            "",
            "expected at least one slice in data.train, but got none",
            "none",
            "data.train=… data.validation=… data.h",
        ),
    ],
)
def test_a_split_that_cannot_be_carries_its_finding(train, message, found, fix):
    with pytest.raises(Refused) as raised:
        split({"train": train, "validation": "", "held_out": "0"}, NAMES[:10])
    finding = raised.value.finding
    assert str(raised.value) == message
    assert (finding.code, finding.severity, finding.found) == ("split", ERROR, found) and finding.fix.startswith(fix)
    assert message.startswith(f"expected {finding.expected}, but got {finding.found}")


@given(st.lists(st.integers(1, 4), min_size=3, max_size=60))
def test_the_automatic_split_parts_no_file_and_keeps_the_order(slices):
    files = [f"file_{number}" for number, count in enumerate(slices) for _ in range(count)]
    groups = automatic_split(files)
    assert sorted(number for members in groups.values() for number in members) == list(range(len(files)))
    of_group = {group: {files[number] for number in members} for group, members in groups.items()}
    assert sum(map(len, of_group.values())) == len(slices)
    count = {group: len(found) for group, found in of_group.items()}
    assert count["held_out"] == max(1, round(0.2 * len(slices))) and count["validation"] == max(
        1, round(0.1 * len(slices))
    )
    assert max(groups["train"]) < min(groups["validation"]) <= max(groups["validation"]) < min(groups["held_out"])


@given(st.integers(5, 80))
def test_the_automatic_split_of_a_stack_leaves_a_slice_out_between_groups(slices):
    groups = automatic_split(["stack.tif"] * slices)
    train, validation, held_out = (groups[name] for name in ("train", "validation", "held_out"))
    assert train[0] == 0 and held_out[-1] == slices - 1
    assert validation[0] == train[-1] + 2 and held_out[0] == validation[-1] + 2
    for members in groups.values():
        assert members == list(range(members[0], members[-1] + 1))


@pytest.mark.parametrize("files", [["a"], ["a"] * 4, ["a", "b"], ["a"] * 9 + ["b"]])
def test_too_few_files_cannot_be_split(files):
    with pytest.raises(ValueError, match="at least 3 files, or a stack of at least 5 slices"):
        automatic_split(files)
