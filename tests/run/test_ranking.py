"""The ranking of a sweep: the best run on the validation images comes first, in the table and in the file."""

import csv
import json

import pytest
import yaml

from src.run.ranking import ranking, write_ranking


@pytest.fixture
def point(tmp_path):
    """Write the files of a run of a sweep; without ``validation`` it is unfinished."""

    def write(name, overrides, validation=..., held_out=0.5, seconds=60.0, monitor="v_rand", mode="max"):
        directory = tmp_path / name
        directory.mkdir()
        config = {"overrides": overrides, "monitor": monitor, "monitor_mode": mode}
        (directory / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
        if validation is not ...:
            scores = {"scores": {monitor: held_out, "other": 0.25}, "validation": {monitor: validation, "other": 9.0}}
            scores |= {"seconds": seconds, "threshold": 0.5, "per_image": [{"name": "a"}]}
            (directory / "scores.json").write_text(json.dumps(scores))

    return write


def order(directory):
    return [row["directory"] for row in ranking(directory)]


@pytest.mark.parametrize(("mode", "expected"), [("max", ["c", "a", "b"]), ("min", ["b", "a", "c"])])
def test_the_best_on_the_validation_slices_is_first_whatever_the_held_out_slices_say(mode, expected, point, tmp_path):
    for name, validation, held_out in (("a", 0.5, 0.9), ("b", 0.1, 0.5), ("c", 0.9, 0.1)):
        point(name, [f"seed={name}"], validation, held_out, mode=mode)
    assert order(tmp_path) == expected
    assert [row["scores"]["v_rand"] for row in ranking(tmp_path) if row["directory"] == "c"] == [0.1]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_points_without_a_score_come_after_those_with_one_and_unfinished_ones_last(mode, point, tmp_path):
    point("a", ["seed=1"])
    point("b", ["seed=2"], None, mode=mode)
    point("c", ["seed=3"], 0.0, mode=mode)
    point("d", ["seed=4"])
    point("e", ["seed=5"], -1.0, mode=mode)
    best, worse = ("c", "e") if mode == "max" else ("e", "c")
    assert order(tmp_path) == [best, worse, "b", "a", "d"]
    rows = {row["directory"]: row for row in ranking(tmp_path)}
    assert rows["a"]["validation"] is rows["a"]["scores"] is rows["a"]["seconds"] is None
    assert rows["b"]["validation"] is None and rows["b"]["scores"] == {"v_rand": 0.5, "other": 0.25}
    assert rows["c"]["validation"] == 0.0 and rows["c"]["seconds"] == 60.0


def test_points_of_one_score_stand_in_the_order_of_their_names(point, tmp_path):
    for name in "cab":
        point(name, [f"seed={name}"], 0.5)
    assert order(tmp_path) == ["a", "b", "c"]


def test_only_what_the_points_do_not_share_is_said_of_them_in_the_order_of_the_command_line(point, tmp_path):
    point("a", ["seed=1", "model.depth=2", "optimizer.lr=0.1", "trainer.max_steps=5"], 0.5)
    point("b", ["seed=2", "model.depth=2", "optimizer.lr=0.1", "trainer.max_steps=6"])
    rows = ranking(tmp_path)
    assert [row["overrides"] for row in rows] == [["seed=1", "trainer.max_steps=5"], ["seed=2", "trainer.max_steps=6"]]


def test_each_point_is_ranked_by_the_score_that_it_monitors(point, tmp_path):
    point("a", ["seed=1"], 0.3, monitor="pixel_error", mode="min")
    point("b", ["seed=2"], 0.2, monitor="pixel_error", mode="min")
    rows = ranking(tmp_path)
    assert [(row["monitor"], row["validation"]) for row in rows] == [("pixel_error", 0.2), ("pixel_error", 0.3)]


def test_the_file_holds_what_the_ranking_does(point, tmp_path):
    point("a", ["seed=1", "data.root=현미경, 가"], 0.123456789012345)
    point("b", ["seed=2"], None, seconds=1.5)
    point("c", ["seed=3"])
    write_ranking(tmp_path, ranking(tmp_path))
    assert list(csv.reader((tmp_path / "ranking.csv").read_text(encoding="utf-8").splitlines())) == [
        ["directory", "overrides", "validation", "v_rand", "other", "seconds"],
        ["a", "seed=1 data.root=현미경, 가", "0.123456789012345", "0.5", "0.25", "60.0"],
        ["b", "seed=2", "", "0.5", "0.25", "1.5"],
        ["c", "seed=3", "", "", "", ""],
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b", "c", "ranking.csv"]


def test_no_cell_of_the_file_is_a_formula_to_a_spreadsheet(point, tmp_path):
    point("=1+1", ["+callbacks.x=1", "seed=1"], 0.5, monitor="@evil")
    point("b", ["-x", "seed=2"], -0.5, monitor="@evil")
    write_ranking(tmp_path, ranking(tmp_path))
    rows = [*csv.reader((tmp_path / "ranking.csv").read_text(encoding="utf-8").splitlines())]
    assert rows[0][3] == "'@evil"
    assert [row[:3] for row in rows[1:]] == [["'=1+1", "'+callbacks.x=1 seed=1", "0.5"], ["b", "'-x seed=2", "-0.5"]]


def test_damaged_points_are_named_and_stand_last(point, tmp_path, capsys):
    for name in "abcd":
        point(name, [f"seed={name}", "model.depth=2"], 0.5)
    (tmp_path / "a" / "config.yaml").write_text("a: [")
    (tmp_path / "b" / "config.yaml").unlink()
    (tmp_path / "c" / "scores.json").write_text("{}")
    rows = ranking(tmp_path)
    assert [row["directory"] for row in rows] == ["d", "a", "b", "c"]
    assert [row["scores"] is None for row in rows] == [False, True, True, True]
    assert [row["overrides"] for row in rows] == [["seed=d"], [], [], ["seed=c"]]
    lines = capsys.readouterr().err.splitlines()
    assert all(str(tmp_path / file) in line for file, line in zip(("a/config", "b/config", "c/sc"), lines, strict=True))


def test_a_ranking_replaces_the_one_before(point, tmp_path):
    point("a", ["seed=1"])
    write_ranking(tmp_path, ranking(tmp_path))
    point("b", ["seed=2"], 0.5)
    write_ranking(tmp_path, ranking(tmp_path))
    lines = (tmp_path / "ranking.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["directory", "b", "a"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_directory_without_runs_is_refused_by_its_name(exists, tmp_path):
    directory = tmp_path / "nothing here"
    if exists:
        (directory / "empty").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"expected a run or a directory of runs, but got .*nothing here"):
        ranking(directory)
