"""metrics.csv is what Lightning's own logger would have written, even if the run was interrupted."""

import csv
from pathlib import Path

import pytest
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from src.run.curves import Curves
from src.run.rows import read_rows

ROWS = [
    (0, {"train/loss": 0.5, "epoch": 0}),
    (1, {"train/loss": 0.25, "epoch": 0}),
    (1, {"validation/v_rand": 0.75, "epoch": 0}),
    (2, {"train/loss": 1e-9, "epoch": 0}),
    (3, {"train/loss": float("nan"), "epoch": 1}),
    (3, {"validation/v_rand": 0.8, "validation/with, comma": 1.0, "epoch": 1}),
]


def log(logger, rows=ROWS):
    for step, metrics in rows:
        logger.log_metrics(dict(metrics), step=step)
        logger.save()
    return logger


def read(file: Path) -> list[dict]:
    """Rows without their empty cells, read by csv alone."""
    with file.open(newline="") as opened:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(opened)]


def text(folder: Path) -> str:
    return (folder / "metrics.csv").read_bytes().decode()


def test_rows_are_those_of_lightnings_logger(tmp_path):
    log(Curves(str(tmp_path / "ours"))).finalize("success")
    log(CSVLogger(tmp_path, name="", version="theirs")).finalize("success")
    ours, theirs = (read(tmp_path / name / "metrics.csv") for name in ("ours", "theirs"))
    assert ours == theirs
    assert len(ours) == len(ROWS)


def test_columns_are_in_the_order_in_which_they_came_and_the_step_is_first(tmp_path):
    log(Curves(str(tmp_path)))
    header = text(tmp_path).splitlines()[0]
    assert header == 'step,train/loss,epoch,validation/v_rand,"validation/with, comma"'


def test_what_was_logged_is_on_disk_when_it_was_saved(tmp_path):
    curves = Curves(str(tmp_path))
    for number, row in enumerate(ROWS, start=1):
        log(curves, [row])
        assert len(read(tmp_path / "metrics.csv")) == number
    before = text(tmp_path)
    curves.save()
    curves.finalize("success")
    assert text(tmp_path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]


def test_what_was_not_saved_is_on_disk_at_the_end(tmp_path):
    curves = Curves(str(tmp_path))
    curves.log_metrics({"train/loss": 0.5}, step=0)
    curves.finalize("success")
    assert read(tmp_path / "metrics.csv") == [{"step": "0", "train/loss": "0.5"}]


def test_a_row_without_new_columns_is_appended(tmp_path):
    # The file of a long run is appended to, not rewritten at each step.
    curves = log(Curves(str(tmp_path)), ROWS[:3])
    file = (tmp_path / "metrics.csv").stat().st_ino
    log(curves, [(2, {"train/loss": 1.0})])
    assert (tmp_path / "metrics.csv").stat().st_ino == file
    log(curves, [(3, {"new": 1.0})])
    assert (tmp_path / "metrics.csv").stat().st_ino != file
    assert text(tmp_path).splitlines()[0].endswith(",new")


# The rows that a run logged before it stopped, and the step of its checkpoint, before which all rows are logged.
STOPS = [(w, step) for w in range(len(ROWS) + 1) for step in range(5) if sum(row[0] < step for row in ROWS) <= w]


@pytest.mark.parametrize(("logged", "step"), STOPS)
def test_an_interrupted_run_has_the_curves_of_one_that_was_not(logged, step, tmp_path):
    log(Curves(str(tmp_path / "whole")))
    log(Curves(str(tmp_path / "parts")), ROWS[:logged])
    again = Curves(str(tmp_path / "parts"))
    again.go_on_from(step)
    log(again, [row for row in ROWS if row[0] >= step]).finalize("success")
    assert text(tmp_path / "parts") == text(tmp_path / "whole")


def test_a_run_that_goes_on_forgets_only_what_it_trains_again(tmp_path):
    log(Curves(str(tmp_path)))
    curves = Curves(str(tmp_path))
    curves.go_on_from(2)
    curves.save()
    assert [row["step"] for row in read(tmp_path / "metrics.csv")] == ["0", "1", "1"]


@pytest.mark.parametrize("lost", [1, 2, 3, 9])
def test_a_half_written_last_line_is_no_row(lost, tmp_path):
    log(Curves(str(tmp_path)), ROWS[:4])
    file = tmp_path / "metrics.csv"
    content = file.read_bytes()
    file.write_bytes(content[:-lost])
    left = 4 if lost == 1 else 3  # a line that lacks only the second half of its line end is complete
    assert len(read_rows(file)) == left
    curves = Curves(str(tmp_path))
    curves.go_on_from(2)
    log(curves, ROWS[3:4])
    assert file.read_bytes() == content


def test_a_half_written_header_is_no_file(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,train/lo")
    curves = Curves(str(tmp_path))
    curves.go_on_from(0)
    log(curves).finalize("success")
    log(Curves(str(tmp_path / "whole")))
    assert text(tmp_path) == text(tmp_path / "whole")


DAMAGE = {
    "a cell more": "1,0.5,0,,,7\n",
    "a cell less": "1,0.5\n",
    "no step": "nan,0.5,0,,\n",
    "no number": "1,a,0,,\n",
    "zeros": "\0" * 50 + "\n",
    "a quote that is not closed": '1,"0.5,0,,\n',
}


@pytest.mark.parametrize("line", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_row_costs_itself_at_the_end_and_the_file_its_name_elsewhere(line, tmp_path, capsys):
    log(Curves(str(tmp_path)))
    file, whole = tmp_path / "metrics.csv", text(tmp_path)
    file.write_text(whole.replace("\r\n", "\n") + line)
    assert len(read_rows(file)) == len(ROWS)
    assert capsys.readouterr().err == f"warning: the last row of {file} is damaged and left out\n"
    lines = whole.replace("\r\n", "\n").splitlines(keepends=True)
    for number in ("", "-2"):  # twice, and nothing is overwritten
        file.write_text(damaged := "".join([*lines[:2], line, *lines[2:]]))
        with pytest.raises(ValueError, match=r"metrics\.csv is not: expected a step and numbers in row 2"):
            read_rows(file)
        curves = Curves(str(tmp_path))
        curves.go_on_from(2)
        log(curves, ROWS[3:]).finalize("success")
        assert (tmp_path / f"metrics.damaged{number}.csv").read_text() == damaged
        (said,) = capsys.readouterr().err.splitlines()
        assert said.startswith("warning: ") and f"it is now metrics.damaged{number}.csv" in said
        assert [row["step"] for row in read_rows(file)] == ["2", "3", "3"]


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"\xff\xfe\n", b"step,step\n0,0\n", b"0,0.5\n1,0.25\n"])
def test_a_file_without_the_names_of_curves_is_set_aside(content, tmp_path, capsys):
    (tmp_path / "metrics.csv").write_bytes(content)
    curves = Curves(str(tmp_path))
    curves.go_on_from(3)
    log(curves, ROWS[4:]).finalize("success")
    assert (tmp_path / "metrics.damaged.csv").read_bytes() == content
    assert [row["step"] for row in read_rows(tmp_path / "metrics.csv")] == ["3", "3"]
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_row_that_was_logged_before_its_checkpoint_is_not_logged_again(tmp_path):
    curves = Curves(str(tmp_path))
    for _ in range(2):
        log(curves, [(3, {"train/loss": float("nan"), "epoch": 0})])
    assert [row["step"] for row in read_rows(curves.file)] == ["3"]


def test_a_mark_that_an_editor_adds_changes_nothing(tmp_path):
    log(Curves(str(tmp_path)))
    rows = read_rows(tmp_path / "metrics.csv")
    (tmp_path / "metrics.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "metrics.csv").read_bytes())
    assert read_rows(tmp_path / "metrics.csv") == rows


def test_no_file_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "metrics.csv") == []


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    curves = Curves(str(tmp_path))
    curves.go_on_from(0)
    log(curves).finalize("success")
    assert list(tmp_path.iterdir()) == []


def test_a_logger_of_lightning_is_asked_for_a_name_and_a_version(tmp_path):
    curves = Curves(str(tmp_path))
    assert (curves.name, curves.version) == ("", "")
    curves.log_hyperparams({"a": 1})
    assert list(tmp_path.iterdir()) == []
