"""The directory of a cross-validation, read from its files alone."""

import json
import shutil

import pytest

from src.run.folds import ENSEMBLE, calibration_sentence, fold_directories, folded_scores, lines, write_folds_page
from src.terminal import shown
from tests.conftest import imported_by


@pytest.mark.slow
def test_folds_are_found_in_their_order_and_other_directories_are_none(folded, finished_run, tmp_path):
    directory = folded(tmp_path / "folds")
    assert [point.name[:6] for point in fold_directories(directory)] == ["fold-0", "fold-1"]
    finished_run(tmp_path / "runs" / "run")
    assert fold_directories(tmp_path / "runs") == [] and fold_directories(tmp_path / "none") == []


@pytest.mark.slow
def test_a_directory_that_lacks_a_fold_or_has_it_twice_is_no_cross_validation(folded, tmp_path):
    directory = folded(tmp_path / "folds")
    second = fold_directories(directory)[1]
    second.rename(tmp_path / "away")
    assert fold_directories(directory) == []
    for name in ("one", "other"):
        shutil.copytree(tmp_path / "away", directory / name)
    assert fold_directories(directory) == []


@pytest.mark.slow
def test_scores_are_those_of_the_folds_that_are_there(folded, tmp_path, capsys):
    directory = folded(tmp_path / "folds")
    assert folded_scores(directory) == json.loads((directory / "scores.json").read_text())
    file = fold_directories(directory)[0] / "scores.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"steps": 7}))
    assert folded_scores(directory) is None  # it has been trained on
    file.write_text(json.dumps(content))
    (directory / ENSEMBLE).unlink()
    assert folded_scores(directory) is None
    (directory / "scores.json").write_text("[]")
    assert folded_scores(directory) is None and "computed again" in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_shows_the_worst_image_its_fold_and_how_sure_the_score_is(folded, tmp_path):
    directory = folded(tmp_path / "folds")
    scores = folded_scores(directory)
    page = write_folds_page(directory, scores, shown).read_text()
    assert page.count('class="result"') == 23 and "95 % confidence interval of v_rand" in page
    assert "each scored by a network that had not seen it" in page
    assert "How far probabilities can be believed" in page and "after calibration" in page
    worst = min(scores["per_image"], key=lambda row: row["v_rand"])
    assert page.index(f"<td>{worst['name']}</td><td>{worst['fold']}</td>") < page.index("<td>all</td>")


@pytest.mark.parametrize("ensemble", [True, False])
def test_what_it_says_in_sentences(ensemble):
    mean = {"scores": {"f1": 0.9}, "single": {"f1": 0.85}, "seconds": 2.0, "single_seconds": 0.5, "per_image": [{}] * 6}
    scores = {
        "intervals": {"f1": [0.7, 0.95]},
        "folds": [{"scores": {"f1": 0.8}}, {"scores": {"f1": None}}],
        "mean_of_folds": {"f1": 0.8},
        "mean_of_images": {"f1": 0.82},
        "ensemble": mean if ensemble else None,
        "calibration": {"needed": "none", "temperature": 1.0, "shift": 0.0, "scores": {"none": {"ece": 0.0123}}},
        "cells": {"held": [{"said": 0.9, "cells": 212, "matched": 0.91}, {"said": 0.5, "cells": 7, "matched": 0.6}]},
    }
    assert lines(scores, "f1", shown) == [
        "95 % confidence interval of f1 pooled over all images, by bootstrap over images: 0.7000 to 0.9500.",
        "f1 of the folds: 0.8000, –; their mean 0.8000, that of the images 0.8200.",
        "Probabilities need no calibration: their expected calibration error is 0.0123.",
        "Cells with a confidence in cells.csv of 0.9 matched a true one in 91 % of 212, of 0.5 in 60 % of 7.",
        "On 6 held-out images, which no fold has seen, the mean of the 2 networks has f1 0.9000 and takes 2.00 s per "
        "image; one of them has 0.8500 on average and takes 0.50 s."
        if ensemble
        else "The mean of the 2 networks takes 2 times as long as one of them.",
    ]


def test_what_was_fitted_is_said_with_what_it_gives():
    each = {"none": {"ece": 0.05}, "both": {"ece": 0.01}}
    calibration = {"needed": "both", "temperature": 1.5, "shift": -0.25, "threshold": 0.7, "scores": each}
    said = calibration_sentence(calibration, shown)
    assert said.startswith("Probabilities need a temperature and a shift (temperature 1.50, shift -0.25): ")
    assert "falls from 0.0500 to 0.0100" in said and "above 0.70 are cell" in said


@pytest.mark.slow
def test_a_cross_validation_is_shown_again_without_importing_torch(folded, tmp_path):
    directory = folded(tmp_path / "folds")
    (directory / "report.html").unlink()
    assert "torch" not in imported_by("report", f"run={directory}")
    assert (directory / "report.html").exists()
