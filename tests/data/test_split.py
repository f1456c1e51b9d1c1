"""The split: images chosen by number, by name or automatically, in groups without a common image."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.finding import ERROR, Refused
from src.data.split import automatic_split, check_groups, chosen, grouping_pattern, split, together

AUTO = {"train": "auto", "validation": "auto", "held_out": "auto"}
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
    with pytest.raises(ValueError, match=r"expected images such as 0-19 or 0-9,15, or names such as slice_00"):
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
    with pytest.raises(ValueError, match=f"at least one image in data.{group}"):
        check_groups({"train": [0], "validation": [], "held_out": [1]} | {group: []})


def test_a_slice_belongs_to_one_group():
    with pytest.raises(ValueError, match="image 5 in train and held_out"):
        split({"train": "0-5", "validation": "", "held_out": "5-7"}, NAMES)


def test_all_groups_are_automatic_or_none():
    with pytest.raises(ValueError, match=r"auto in validation; nearest valid: data.validation=0-99"):
        split({"train": "0-5", "validation": "auto", "held_out": "7"}, NAMES)


@pytest.mark.parametrize(
    ("train", "message", "found", "fix"),
    [
        ("3-99", "expected images from 0 to 9, but got '3-99'; nearest valid: 9", "'3-99'", "9"),
        (
            "",
            "expected at least one image in data.train, but got none",
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


@pytest.mark.parametrize(
    ("files", "train", "held_out"),
    [
        (["a", "b"], [0], [1]),
        (["a"] * 9 + ["b"], [*range(9)], [9]),
        (["a"] * 3, [0], [2]),
        (["a"] * 4, [0, 1], [3]),
    ],
)
def test_of_two_files_or_few_slices_none_chooses_the_checkpoint(files, train, held_out):
    assert automatic_split(files) == {"train": train, "validation": [], "held_out": held_out}


@pytest.mark.parametrize("files", [["a"], ["a"] * 2])
def test_too_few_files_cannot_be_split(files):
    with pytest.raises(ValueError, match="at least 2 files, or a stack of at least 3 slices"):
        automatic_split(files)


@pytest.mark.parametrize(
    ("pattern", "names", "keys"),
    [
        ("{patient}[LR]", "01L 01R 02L", "01 01 02"),
        ("{p}_*", "p1_a_1 p1_b_2 p2_a_1", "p1 p1 p2"),
        ("Image_{eye}?", "Image_01L Image_01R", "01 01"),
        ("*-{mouse}", "a-1 b-1 c-2", "1 1 2"),
        ("{name}", "a b", "a b"),
        ("cell.{n}(x)", "cell.1(x) cell.2(x)", "1 2"),
    ],
)
def test_names_say_what_belongs_together(pattern, names, keys):
    names = names.split()
    assert together(names, names, pattern) == keys.split()


def test_slices_of_one_file_stay_together_whatever_their_names_are():
    assert together(["a_0", "b_0", "b_1"], ["x", "x", "y"], "{group}_*") == ["a", "a", "b"]


@pytest.mark.parametrize("pattern", ["patient", "{a}_{b}", "{}", "{1}", "*", ""])
def test_a_pattern_has_one_open_part(pattern):
    with pytest.raises(
        Refused, match=r"one open part such as \{patient\}, but got .*nearest valid: data.groups='"
    ) as raised:
        together(["p1_a"], ["p1_a"], pattern)
    assert raised.value.finding.fix == "data.groups='{patient}_*'"


@pytest.mark.parametrize("names", ["01L 01R overview", "1 2", "p1_a p2_b", "p1-a p2-b", "p1 a,p2 b"])
def test_a_name_that_does_not_fit_is_named_with_a_pattern_that_fits_all(names):
    names = names.split("," if "," in names else None)
    with pytest.raises(Refused, match=r"names that data.groups=\{patient\}X fits, but got the name") as raised:
        together(names, names, "{patient}X")
    nearest = raised.value.finding.fix.removeprefix("data.groups='").removesuffix("'")
    assert len(together(names, names, nearest)) == len(names)


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from("LR")), min_size=1, max_size=40, unique=True))
def test_the_automatic_split_parts_no_group(eyes):
    names = [f"{patient}{eye}" for patient, eye in eyes]
    if len({patient for patient, _ in eyes}) < 2:
        with pytest.raises(Refused, match="several groups"):
            split(AUTO, names, names, pattern="{patient}[LR]")
        return
    found = split(AUTO, names, names, pattern="{patient}[LR]")
    sides = {name: part for part, members in found.items() for name in (names[number] for number in members)}
    assert sides.keys() == set(names)
    for patient, _ in eyes:
        assert len({sides[name] for name in names if name[:-1] == str(patient)}) == 1


def test_a_split_that_was_chosen_is_taken_as_it_is():
    numbers = split({"train": "0", "validation": "", "held_out": "1"}, ["1L", "1R"], pattern="{patient}[LR]")
    assert numbers == {"train": [0], "validation": [], "held_out": [1]}


LETTERS = {"t": "train", "v": "validation", "h": "held_out", "-": ""}


@pytest.mark.parametrize(
    ("said", "files", "expected"),
    [
        ("ttvh-", "abcde", "ttvh-"),
        ("ttvvv", "abcde", "ttvhh"),
        ("vvttt", "abcde", "vhttt"),
        ("tthh", "abcd", "tthh"),
        ("ttthh", "abcde", "ttvhh"),
        ("ttv", "abc", "tth"),
        ("tttv", "abcd", "ttvh"),
        ("t" * 20 + "h", "abcdefghijklmnopqrstu", "t" * 18 + "vvh"),
        ("ttvvvv", "abccdd", "ttvvhh"),
        ("tttthh", "abccde", "ttvvhh"),
        ("tttt", "abcd", None),
        ("vvhh", "abcd", None),
        ("----", "abcd", None),
    ],
)
def test_the_split_that_folders_say(said, files, expected):
    names = [f"slice_{number}" for number in range(len(said))]
    found = split(AUTO, names, list(files), [LETTERS[letter] for letter in said])
    letters = {value: key for key, value in LETTERS.items()}
    of = {number: letters[part] for part, members in found.items() for number in members}
    automatic = expected is None
    assert (
        found == automatic_split(list(files))
        if automatic
        else "".join(of.get(number, "-") for number in range(len(said))) == expected
    )


def test_what_was_chosen_comes_before_what_folders_say():
    chosen_groups = {"train": "1", "validation": "", "held_out": "0"}
    assert split(chosen_groups, ["a", "b"], None, ["train", "held_out"])["train"] == [1]


def test_groups_stay_together_in_what_folders_leave_open():
    said, names = ["train"] + ["validation"] * 4, ["9L", "1L", "1R", "2L", "2R"]
    assert split(AUTO, names, names, said, "{patient}[LR]") == {"train": [0], "validation": [1, 2], "held_out": [3, 4]}


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ("01L 01R 02L 02R", "{patient}[LR]"),
        ("Image_01L Image_01R Image_02L", "{patient}[LR]"),
        ("patient3_a patient3_b patient4_a patient4_c", "{patient}_[abc]"),
        ("p1_left p1_right p2_left p2_right", "{patient}_*"),
        ("p1_01 p1_02 p2_01 p2_02 p10_01 p10_02", "p{patient}_*"),
        ("mouse-7-1 mouse-7-2 mouse-8-1 mouse-9-1 mouse-9-2", "mouse-{patient}-*"),
        ("cell_01 cell_02 cell_03 cell_99", None),
        ("0402a81e7526 07fb37aafa66 0ddd8deaf169 3b3f516ebc9a", None),
        ("1 2 3 10", None),
        ("a b c d", None),
        ("control_01 control_02 drug_01 drug_02", None),
        ("img_001_a img_002_a img_003_a", None),
        ("01L 01R 02L overview", None),
        ("t000 t001 t002", None),
    ],
)
def test_groups_are_told_by_names(names, pattern):
    assert grouping_pattern(names.split()) == pattern
