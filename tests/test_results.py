"""A finished run is shown, and its page is written if it is older than the scores or requested anew."""

import os

import pytest
from hydra import initialize_config_dir

from src import CONF, results


@pytest.fixture
def composing():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def test_a_page_is_written_where_it_is_missing_older_or_wanted_anew(composing, finished_run, tmp_path, capsys):
    directory = finished_run(tmp_path / "run")
    page = directory / "report.html"
    page.unlink(missing_ok=True)
    results.show_run(directory, with_page=False)
    assert not page.exists() and "report:" not in capsys.readouterr().out
    scores = results.show_run(directory, anew=False)
    assert scores["scores"].keys() >= {"v_rand"} and f"report: {page}" in capsys.readouterr().out
    page.write_text("of yesterday")
    results.show_run(directory, anew=False)
    assert page.read_text() == "of yesterday"
    os.utime(page, ns=(1, 1))
    results.show_run(directory, anew=False)
    assert page.read_text() != "of yesterday"
    page.write_text("of yesterday")
    results.show_run(directory)
    assert page.read_text() != "of yesterday"


def test_a_run_that_is_not_finished_is_named(composing, finished_run, tmp_path):
    directory = finished_run(tmp_path / "run")
    (directory / "scores.json").unlink()
    with pytest.raises(ValueError, match="expected a finished run"):
        results.show_run(directory)
