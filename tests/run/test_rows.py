"""metrics.csv is read as written, and damaged files are named."""

import pytest

from src.run.rows import read_rows

HEADER = "step,train/loss,validation/v_rand\n"


def written(tmp_path, text: str):
    file = tmp_path / "metrics.csv"
    file.write_text(text)
    return file


def test_no_file_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "metrics.csv") == []


def test_each_row_has_its_cells_by_name(tmp_path):
    file = written(tmp_path, HEADER + "0,0.5,\n1,nan,0.75\n")
    assert read_rows(file) == [
        {"step": "0", "train/loss": "0.5", "validation/v_rand": ""},
        {"step": "1", "train/loss": "nan", "validation/v_rand": "0.75"},
    ]


@pytest.mark.parametrize("last", ["1,0.25", "1,0.25,", "1"])
def test_what_follows_the_last_end_of_a_line_is_no_row(last, tmp_path):
    assert len(read_rows(written(tmp_path, f"{HEADER}0,0.5,\n{last}"))) == 1


@pytest.mark.parametrize("row", ["one,0.5,", "1,half,", "1,0.5", "1,0.5,,", "-1,0.5,", f"{'9' * 16},0.5,"])
def test_a_row_that_is_none_is_lost_at_the_end_and_refused_elsewhere(row, tmp_path, capsys):
    assert len(read_rows(written(tmp_path, f"{HEADER}0,0.5,\n{row}\n"))) == 1
    assert "the last row of" in capsys.readouterr().err
    with pytest.raises(ValueError, match="a step and numbers in row 1"):
        read_rows(written(tmp_path, f"{HEADER}{row}\n0,0.5,\n"))


@pytest.mark.parametrize("header", ["", "epoch,step\n", "step,a,a\n"])
def test_a_file_of_somebody_else_is_named(header, tmp_path):
    with pytest.raises(ValueError, match=r"metrics\.csv is not: expected the names of curves"):
        read_rows(written(tmp_path, f"{header}0,0,0\n"))
