"""Legends of classes: validated, stored and restored."""

import numpy as np
import pytest

from src.files.legend import NUMBERS, Legend, in_values, legend_of, plain

FULL = Legend((0, 1, 5), ("background", "cell", "Zellkern é"), ((0, 0, 0), (255, 0, 0), (1, 2, 3)))


@pytest.mark.parametrize("legend", [NUMBERS, FULL, Legend(values=(0, 255)), Legend(names=("a", "b"))])
def test_a_legend_survives_storing(legend):
    assert legend_of(plain(legend)) == legend
    assert legend_of({}) == NUMBERS


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ([], "a legend of"),
        ({"values": [0, 1], "more": []}, "a legend of"),
        ({"values": 3}, "a legend of"),
        ({"values": [0, "1"]}, "32-bit integers"),
        ({"values": [0, True]}, "32-bit integers"),
        ({"values": [0, 2**31]}, "32-bit integers"),
        ({"values": [0, 0]}, "a different value for each class"),
        ({"values": list(range(257))}, "at most 256 classes"),
        ({"names": ["a", 1]}, "short names"),
        ({"names": ["a", "b" * 65]}, "short names"),
        ({"names": ["a", "b\n"]}, "short names"),
        ({"colours": [[0, 0, 256]]}, "colours of three numbers from 0 to 255"),
        ({"colours": [[0, 0]]}, "colours of three numbers"),
        ({"colours": [7]}, "colours of three numbers"),
        ({"values": [0, 1], "names": ["a"]}, "equally many classes"),
    ],
)
def test_invalid_legends_are_refused(wrong, expected):
    with pytest.raises(ValueError, match=f"expected .*{expected}"):
        legend_of(wrong)


def test_each_value_is_described():
    assert FULL.described() == {"0": "background #000000", "1": "cell #ff0000", "5": "Zellkern é #010203"}
    assert Legend(values=(0, 255)).described() == {"0": "class 0", "255": "class 1"}
    assert Legend(names=("a", "b")).described() == {"0": "a", "1": "b"}
    assert NUMBERS.described() == {}


def test_a_legend_fits_its_own_number_of_classes():
    assert [FULL.fits(classes) for classes in (2, 3, 4)] == [False, True, False]
    assert NUMBERS.fits(2)


def test_classes_become_the_values_that_stand_for_them():
    classes = np.array([[0, 1, 2]])
    found = in_values(classes, FULL.values)
    assert found.tolist() == [[0, 1, 5]] and found.dtype == np.int32
    assert in_values(classes, ()) is classes
