"""The prediction of a large image says each minute how far it is."""

import re

from src import saying
from src.prediction import progress


def test_a_line_says_the_share_the_speed_and_the_time_left(capsys, monkeypatch):
    monkeypatch.setattr(saying, "MINUTE", 0.02)
    said = []
    monkeypatch.setattr(saying, "say", said.append)
    with progress.show_progress(
        "a name of a file that is longer than it need be, much longer.tif", 4_000_000, True
    ) as done:
        while not said:
            pass
        done(1_000_000)
        said.clear()
        while not said:
            pass
    assert re.fullmatch(r"a name of a file th….*\.tif: 25% · \d+\.\d\d Mpx/s · \d+ s left", said[0]), said


def test_what_has_not_begun_has_no_time_left(monkeypatch, capsys):
    monkeypatch.setattr(saying, "MINUTE", 0.02)
    said = []
    monkeypatch.setattr(saying, "say", said.append)
    with progress.show_progress("a.tif", 100, bar=False):
        while not said:
            pass
    assert said[0] == "a.tif: 0% · 0.00 Mpx/s"
    assert "━" not in capsys.readouterr().out
