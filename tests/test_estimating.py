"""Scores estimated by images that were scored out of fold: from a drawing of such images to what src.predict writes."""

import csv
import json
import re

import numpy as np
import pytest
import tifffile

from src import estimating
from src.data.phantom import phantom
from src.estimating import estimator, held, judged, opened, seen, write
from src.metrics.features import FEATURES


def images(count, folds=4, seed=0):
    """Images whose score is their expected Dice, but for noise."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        features = dict(zip(FEATURES, random.uniform(0, 1, len(FEATURES)).tolist(), strict=True))
        score = float(np.clip(features["dice"] + random.normal(0, 0.05), 0, 1))
        found += seen(f"image_{number}", number * folds // count, score, features)
    return found


def test_images_are_estimated_by_others_and_the_file_estimates_other_images(tmp_path):
    told = write(tmp_path, "f1_50", "max", images(40))
    assert told["images"] == 40 == told["held"]["images"] and {row["name"] for row in told["rows"]} == {
        f"image_{n}" for n in range(40)
    }
    assert told["held"]["covered"] >= 34 and told["held"]["rank_correlation"] > 0.9 and told["held"]["width"] < 0.3
    found, why = opened(tmp_path)
    assert why == "" and (found.score, found.mode) == ("f1_50", "max")
    others = held(judged(found, images(60, seed=1)))
    assert others["covered"] >= 0.85 * 60 and others["rank_correlation"] > 0.9


def test_of_many_images_a_stretch_of_each_fold_is_estimated_by_the_others():
    some = images(80)
    places = estimating.parts(some)
    assert sorted(set(places)) == list(range(10)) and all(places.count(part) == 8 for part in range(10))
    assert places[:20] == [part for part in range(10) for _ in range(2)] == places[20:40]
    assert estimating.parts(some[:40]) == list(range(40))


def test_images_without_score_or_cells_do_not_count():
    features = images(1)[0].features
    assert seen("a", 0, None, features) == seen("a", 0, float("nan"), features) == seen("a", 0, 0.5, None) == []


def test_too_few_images_give_no_interval_in_words(tmp_path):
    assert write(tmp_path, "f1_50", "max", images(9))["held"] is None and opened(tmp_path)[0]
    told = write(tmp_path, "f1_50", "max", images(8, folds=2))
    assert told["held"] is None and told["rows"] == [] and held([]) is None
    assert opened(tmp_path) == (None, estimating.too_few("f1_50", 8))
    assert write(tmp_path, "f1_50", "max", []) is None


def test_a_count_may_be_above_one():
    some = [each.model_copy(update={"score": 40.0 + number}) for number, each in enumerate(images(12))]
    assert estimator("splits", "min", some)(some[0].features).high > 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["images"][0]["features"].pop("dice"), "expected the features dice, confidence"),
        (lambda content: content["images"][0].update(score="0.9"), r"images\.0\.score"),
        (lambda content: content["images"][0]["features"].update(area=1e300), r"images\.0\.features\.area"),
        (lambda content: content.update(score="f1 [red]"), "score"),
        (lambda content: content.update(mode="most"), "mode"),
        (lambda content: content.pop("images"), "images"),
    ],
)
def test_a_file_that_says_something_else_is_refused_by_name(change, message, tmp_path):
    write(tmp_path, "f1_50", "max", images(12))
    file = tmp_path / "estimates.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"estimates\.json.*{message}"):
        opened(tmp_path)


def test_a_cross_validation_of_an_earlier_version_estimates_nothing(tmp_path):
    assert opened(tmp_path) == (None, "")


@pytest.mark.slow
def test_predict_estimates_the_scores_of_images_and_names_those_that_are_unlike(folded, run_command, tmp_path):
    directory = folded(tmp_path / "folds")
    said = json.loads((directory / "scores.json").read_text())
    assert said["estimates"]["images"] == 23 and said["ensemble"]["estimates"]["images"] == 2
    stack = phantom(slices=30, size=64)
    (tmp_path / "images").mkdir()
    for number in (24, 25):
        tifffile.imwrite(tmp_path / f"images/slice_{number}.tif", stack.images[number])
    given = [f"checkpoint={directory}", f"input={tmp_path}/images", f"output={tmp_path / 'out'}"]
    status, printed, error = run_command("predict", *given)
    assert status == 0, error
    rows = list(csv.DictReader((tmp_path / "out/estimated_scores.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == ["slice_24", "slice_25"] and {row["score"] for row in rows} == {"v_rand"}
    assert all(0 <= float(row["lower"]) <= float(row["expected"]) <= float(row["upper"]) <= 1 for row in rows)
    assert "estimated v_rand" in printed and "90% of such intervals" in printed
    true = {row["name"]: row["v_rand"] for row in said["ensemble"]["per_image"]}
    covered = sum(float(row["lower"]) <= true[row["image"]] <= float(row["upper"]) for row in rows)
    assert covered == said["ensemble"]["estimates"]["covered"]
    # Issued again, nothing is predicted, and the scores are still there; another threshold has none.
    status, printed, _ = run_command("predict", *given)
    assert status == 0 and "predicted already" in printed and re.search(r"slice_24.*0\.", printed)
    status, printed, _ = run_command("predict", *given, "threshold=0.6", "overwrite=true")
    assert status == 0 and "No score is estimated" in printed


@pytest.mark.slow
def test_predict_refuses_estimates_that_are_damaged(folded, run_command, tmp_path):
    directory = folded(tmp_path / "folds")
    (directory / "estimates.json").write_text("{}")
    tifffile.imwrite(tmp_path / "image.tif", phantom(slices=30, size=64).images[24])
    given = [f"checkpoint={directory}", f"input={tmp_path / 'image.tif'}", f"output={tmp_path / 'out'}"]
    status, _, error = run_command("predict", *given)
    assert status == 1 and "estimates.json" in error and "Traceback" not in error
