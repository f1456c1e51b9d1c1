"""Files are written completely or not at all."""

import csv
import json
import math

import pytest

from src.files.whole import complete_file, spreadsheet_safe, write_json, write_rows, write_text


def test_a_file_appears_when_it_is_complete(tmp_path):
    file = tmp_path / "new folder" / "a.txt"
    with complete_file(file) as partial:
        partial.write_text("half")
        assert not file.exists() and partial.parent == file.parent
        partial.write_text("whole")
    assert file.read_text() == "whole" and list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(error, tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "of yesterday")
    with pytest.raises(error), complete_file(file) as partial:
        partial.write_text("half")
        raise error
    assert file.read_text() == "of yesterday" and list(tmp_path.iterdir()) == [file]


def test_an_oserror_names_the_final_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OSError) as raised:
        write_text(tmp_path / "a.txt", "content")
    assert raised.value.filename in (str(tmp_path / "a.txt"), None) or raised.value.filename2 == str(tmp_path / "a.txt")


def test_json_has_null_for_nan_and_refuses_infinity(tmp_path):
    write_json(tmp_path / "a.json", {"a": math.nan, "b": [1, math.nan], "현": "미경"})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": None, "b": [1, None], "현": "미경"} and "현" in text
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", {"a": math.inf})
    assert not (tmp_path / "b.json").exists()


def test_csv_has_the_columns_of_all_rows_and_empty_cells_for_none_and_nan(tmp_path):
    write_rows(tmp_path / "a.csv", [{"name": "a", "f1": 0.5}, {"name": "=b", "f1": math.nan, "iou": None}])
    with (tmp_path / "a.csv").open(newline="") as lines:
        assert list(csv.reader(lines)) == [["name", "f1", "iou"], ["a", "0.5", ""], ["'=b", "", ""]]


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", "\ta", "\ra"])
def test_a_name_that_looks_like_a_formula_is_quoted(name):
    assert spreadsheet_safe(name) == f"'{name}"
    assert spreadsheet_safe(f"a{name}") == f"a{name}" and spreadsheet_safe(-1.5) == -1.5
