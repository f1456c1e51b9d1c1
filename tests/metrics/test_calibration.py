"""Calibration recovers a known distortion of probabilities, and converts thresholds so that labels do not change."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import expit, logit

from src.instances import Classes, Components, Decoder, Distance, Watershed
from src.metrics.calibration import BINS, FREE, Calibration, cross_fitted, fitted, log_loss, needed, tally


def drawn(temperature, shift, seed=0, count=200_000):
    """Counts of predictions and outcomes that a calibration with this temperature and shift would make right."""
    random = np.random.default_rng(seed)
    predicted = expit(random.normal(0, 2, count))
    true = random.random(count) < expit(logit(predicted) / temperature + shift)
    return tally(predicted.astype(np.float32), true)


def smooth(seed=0):
    """Class probabilities of two classes, with blobs."""
    grey = gaussian_filter(np.random.default_rng(seed).normal(0, 1, (80, 90)), 4)
    cell = expit(grey / grey.std() * 3).astype(np.float32)
    return np.stack([1 - cell, cell])


@pytest.mark.parametrize(("temperature", "shift"), [(1.0, 0.0), (2.0, 0.0), (0.5, 0.0), (1.0, 1.5), (1.7, -0.8)])
def test_the_fit_finds_what_was_done_to_probabilities(temperature, shift):
    found = fitted(drawn(temperature, shift))
    assert found.temperature == pytest.approx(temperature, rel=0.03)
    assert found.shift == pytest.approx(shift, abs=0.03)


@pytest.mark.parametrize(
    ("temperature", "shift", "free"), [(1, 0, "none"), (2, 0, "temperature"), (1, 1.5, "shift"), (2, -1, "both")]
)
def test_no_more_is_fitted_than_is_needed(temperature, shift, free):
    found, crossed = needed([drawn(temperature, shift, seed) for seed in range(3)])
    assert found == free and crossed.keys() == FREE.keys()
    losses = {name: log_loss(*each) for name, each in crossed.items()}
    assert losses[free] == pytest.approx(min(losses.values()), abs=1e-4)


def test_each_fold_is_calibrated_with_the_fit_of_the_others():
    folds = [drawn(1, 2, seed) for seed in (0, 1)] + [drawn(1, -2, 2)]
    probability, counts = cross_fitted(folds, "shift")
    assert counts.sum() == 600_000
    middle = BINS // 2  # the bin of probability 0.5
    told = [logit(probability[fold * BINS + middle]) for fold in range(3)]
    assert told[2] == pytest.approx(2, abs=0.1) and abs(told[0]) < 0.2 and abs(told[1]) < 0.2


def test_counts_are_in_the_bins_of_the_predicted_probabilities():
    counts = tally(np.array([0.0, 0.5, 0.5, 1.0]), np.array([False, True, True, True]))
    assert counts.shape == (2, BINS)
    assert {tuple(place): int(counts[tuple(place)]) for place in np.argwhere(counts)} == {
        (0, 0): 1,
        (1, BINS // 2): 2,
        (1, BINS - 1): 1,
    }


def test_without_both_outcomes_probabilities_do_not_change():
    assert fitted(tally(np.full(9, 0.3), np.ones(9, bool))) == Calibration()
    apart = fitted(tally(np.array([0.1, 0.9]), np.array([False, True])))
    assert 1 / 20 <= apart.temperature < 1  # and not 0


def test_certain_pixels_stay_certain_and_more_probable_ones_more_probable():
    calibration = Calibration(1.7, -0.8)
    found = calibration(np.array([[0, 0.2, 0.5, 0.9, 1]], np.float32))
    assert found.dtype == np.float32 and found[0, 0] == 0 and found[0, -1] == 1 and (np.diff(found[0]) > 0).all()
    assert found[0, 2] == pytest.approx(expit(-0.8))
    assert np.allclose(Calibration()(found), found, atol=1e-7)


def test_with_several_classes_the_background_is_calibrated_and_the_others_keep_their_ratios():
    before = np.random.default_rng(0).dirichlet([1, 1, 1], (6, 7)).transpose(2, 0, 1).astype(np.float32)
    before[:, 0, 0] = [1, 0, 0]
    after = Calibration(0.7, 1.2)(before)
    assert np.allclose(after.sum(0), 1, atol=1e-6) and after.dtype == np.float32
    assert np.allclose(after[0], 1 - Calibration(0.7, 1.2).of_cell(1 - before[0]), atol=1e-6)
    inside = before[0] < 1
    assert np.allclose(after[1][inside] / after[2][inside], before[1][inside] / before[2][inside], rtol=1e-4)
    assert after[:, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("calibration", [Calibration(1.7, -0.8), Calibration(0.6, 2.0)])
@pytest.mark.parametrize("numbering", [Components(5), Watershed(0.5), Watershed(0.0, min_size=9), Classes()])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_thresholds_and_markers_move_with_probabilities_so_that_labels_stay(calibration, numbering, threshold):
    decoder, probabilities = Decoder(numbering, threshold), smooth().astype(np.float64)
    told = calibration.for_calibrated(decoder)
    assert told != decoder
    after = calibration(probabilities[1])
    assert np.array_equal(told(np.stack([1 - after, after])), decoder(probabilities))
    undone = calibration.for_uncalibrated(told)
    assert undone.threshold == pytest.approx(threshold)
    assert getattr(undone.numbering, "marker", 0) == pytest.approx(getattr(numbering, "marker", 0), abs=1e-9)


def test_parameters_that_are_no_thresholds_do_not_change():
    decoder = Decoder(Distance(1.0), 0.4)
    assert Calibration(2, 1).for_calibrated(decoder).numbering == decoder.numbering
