"""Runs are compared from their directories, by the images that both have scored."""

import json

import numpy as np
import pytest
import yaml

from src.run.comparing import against_first, compared, lines
from src.run.ranking import ranking


@pytest.fixture
def run(tmp_path):
    """Write the files of a run that a comparison reads: → its directory."""

    def write(name, scores, monitor="f1", mode="max", validation=0.5):
        directory = tmp_path / name
        directory.mkdir(parents=True)
        (directory / "config.yaml").write_text(
            yaml.safe_dump({"overrides": [], "monitor": monitor, "monitor_mode": mode})
        )
        if scores:
            rows = [{"name": image, monitor: score} for image, score in scores.items()]
            content = {"scores": {monitor: 0.5}, "per_image": rows, "validation": {monitor: validation}}
            (directory / "scores.json").write_text(json.dumps(content | {"seconds": 1.0, "threshold": 0.5}))
        return directory

    return write


def images(mean, count=20, seed=0):
    return {
        f"image_{number}": mean + each for number, each in enumerate(np.random.default_rng(seed).normal(0, 0.05, count))
    }


@pytest.mark.parametrize(("mode", "better"), [("max", "good"), ("min", "bad")])
def test_the_better_one_is_named_where_it_can_be_told(mode, better, run):
    good, bad = run("good", images(0.8), mode=mode), run("bad", images(0.6, seed=1), mode=mode)
    (said,) = lines(good, *compared([good, bad]))
    assert f"{good} minus {bad}: mean f1 of 20 images 0.7" in said and said.endswith(
        f"; {good.parent / better} is better"
    )
    assert "indistinguishable" not in said


def test_what_cannot_be_told_is_indistinguishable_and_how_many_images_would_tell(run):
    one, other = run("one", images(0.8)), run("other", images(0.81, seed=1))
    monitor, mode, (row,) = compared([one, other])
    found = row["difference"]
    assert not found.significant and found.needed > 20
    (said,) = lines(one, monitor, mode, [row])
    assert said.endswith(f"indistinguishable on 20 images; about {found.needed} would be needed")
    assert "equal on 20 images" in lines(one, *compared([one, one]))[0]


def test_images_that_only_one_has_do_not_count(run):
    one = run("one", {"a": 0.5, "b": 0.6, "c": None, "d": 0.1})
    other = run("other", {"b": 0.5, "a": 0.4, "c": 0.9, "e": 0.9})
    _, _, (row,) = compared([one, other])
    assert row["difference"].images == 2 and row["both"] == pytest.approx((0.55, 0.45))


def test_what_cannot_be_compared_is_refused(run):
    one = run("one", images(0.8))
    with pytest.raises(ValueError, match="at least two runs"):
        compared([one])
    with pytest.raises(ValueError, match=r"two images or more with f1 in .*other, but got 1"):
        compared([one, run("other", {"image_3": 0.5})])
    with pytest.raises(ValueError, match=r"expected a finished run, but .*begun is not;"):
        compared([one, run("begun", None)])


def test_of_a_sweep_each_point_is_compared_with_the_first(run, tmp_path):
    run("sweep/a", images(0.6), validation=0.7)
    run("sweep/b", images(0.8, seed=1), validation=0.9)
    run("sweep/c", images(0.8, seed=2), validation=0.8)
    run("sweep/d", {"x": 0.5, "y": 0.5}, validation=0.6)
    run("sweep/e", None)
    rows = ranking(tmp_path / "sweep")
    assert [row["directory"] for row in rows] == list("bcade")
    first, second, third, *others = against_first(tmp_path / "sweep", rows)
    assert first == "" and "indistinguishable on 20 images" in second
    assert third.startswith("+0.2") and "indistinguishable" not in third
    assert others == ["", ""]


@pytest.mark.slow
def test_a_cross_validation_is_compared_like_a_run(folded, tmp_path):
    one, other = folded(tmp_path / "one"), folded(tmp_path / "other")
    monitor, _, (row,) = compared([one, other])
    assert monitor == "v_rand" and row["difference"].images == 23 and row["difference"].mean == 0
