"""Thresholds of scores, choice of the threshold, and what metrics get from predictions."""

import numpy as np
import pytest

from src.instances import components
from src.metrics.evaluator import THRESHOLDS, Evaluator, Labels, Probabilities
from src.metrics.instance import Instances
from src.metrics.pixel import PixelError
from src.metrics.rand import AfterThinning, OfLabels, RandError
from src.metrics.semantic import Semantic
from tests.metrics.counted import Counted


def segment(probabilities, threshold):
    return components(probabilities[1] > threshold)


def of_cell(cell):
    """A prediction of two classes, from the probability of a cell."""
    cell = np.asarray(cell, np.float32)
    return Probabilities(np.stack([1 - cell, cell]), segment)


def noisy(seed, noise=0.3):
    """A prediction of blocks under noise, target and cells."""
    random = np.random.default_rng(seed)
    truth = np.kron(random.integers(0, 2, (4, 4)), np.ones((5, 5), int))
    cell = np.clip(truth * 0.6 + 0.2 + random.normal(0, noise, truth.shape), 0, 1)
    return of_cell(cell), truth, components(truth > 0)


# Pixels of the cell are above all thresholds up to 0.7, those of the background above all up to 0.4.
CLEAR = of_cell([[0.75, 0.75, 0.45, 0.45]])
HALF = np.array([[1, 1, 0, 0]])


def at(metric, threshold, *images):
    """Scores of one metric at one threshold, without an evaluator."""
    metric = Counted(metric)
    for prediction, target, instances in images:
        if isinstance(metric.metric, Semantic):
            compared, further = (prediction.classes(threshold), target), ()
        elif isinstance(metric.metric, Instances):
            compared, further = (prediction.labels(threshold), instances), ()
        else:
            compared, further = (prediction.cell(threshold), target), (threshold,)
        metric.update(*(image[None] for image in compared), *further)
    return {name: score.item() for name, score in metric.compute().items()}


def test_each_official_score_is_the_best_over_thresholds_at_its_own_threshold():
    metrics = {"a": AfterThinning(), "b": RandError(), "c": PixelError()}
    images = [noisy(seed, 0.4) for seed in (3, 4)]
    evaluator, best_at = Evaluator(metrics, threshold=0.9), {}
    for image in images:
        evaluator.update(*image)
    found = evaluator.compute()
    for metric in metrics.values():
        sweep = [at(metric, threshold, *images) for threshold in THRESHOLDS]
        for name, mode in metric.modes.items():
            values = [scores[name] for scores in sweep]
            best = max(values) if mode == "max" else min(values)
            assert found[name] == pytest.approx(best) and found[name] != values[-1]
            best_at[name] = THRESHOLDS[values.index(best)]
    assert best_at == {"v_rand": 0.5, "v_info": 0.3, "rand_error": 0.5, "pixel_error": 0.4, "wrong_pixels": 0.5}


@pytest.mark.parametrize("threshold", [0.3, 0.7, 0.55])
def test_scores_of_other_metrics_are_at_the_given_threshold(threshold):
    image = noisy(0)
    evaluator = Evaluator({"a": Instances(), "b": PixelError(), "c": Semantic()}, threshold, monitor="pixel_error")
    found = evaluator.update(*image)
    expected = of_one_image(at(Instances(), threshold, image) | at(Semantic(), threshold, image))
    assert {name: found[name] for name in expected} == pytest.approx(expected, nan_ok=True)
    assert evaluator.chosen_threshold() == threshold


@pytest.mark.parametrize(
    ("monitor", "metric"), [("iou", Semantic()), ("pixel_error", PixelError()), ("extra", Instances())]
)
def test_the_threshold_optimises_the_monitored_score_of_either_mode(monitor, metric):
    background = [0.35, 0.0] * 4  # extra pieces at thresholds up to 0.3
    prediction = of_cell([[0.55, 0.55, 0.0, *background]])
    truth = np.array([[1, 1, 0] + [0] * 8])
    evaluator = Evaluator({"a": Instances(), "b": PixelError(), "c": Semantic()}, monitor=monitor)
    evaluator.update(prediction, truth, truth)
    # Perfect at 0.4 and 0.5; no extra cells from 0.4 on.
    assert evaluator.chosen_threshold() == (0.7 if monitor == "extra" else 0.5)


def test_scores_are_those_at_the_chosen_threshold():
    images = [noisy(seed) for seed in range(3)]
    evaluator = Evaluator({"a": PixelError(), "b": Semantic(), "c": Instances()}, monitor="dice")
    for image in images:
        evaluator.update(*image)
    chosen = max(THRESHOLDS, key=lambda threshold: at(Semantic(), threshold, *images)["dice"])
    expected = at(Semantic(), chosen, *images) | at(Instances(), chosen, *images)
    found = evaluator.compute()
    assert evaluator.chosen_threshold() == chosen
    assert {name: found[name] for name in expected} == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("monitor", ["iou", "missed", "pixel_error"])
def test_of_equally_good_thresholds_the_middle_one_is_chosen(monitor):
    evaluator = Evaluator({"a": Instances(), "b": PixelError(), "c": Semantic()}, monitor=monitor)
    evaluator.update(CLEAR, HALF, HALF)
    # The cell is exact at 0.5, 0.6 and 0.7; from 0 to 0.7 it is not missed, even where it is too large.
    assert evaluator.chosen_threshold() == (0.4 if monitor == "missed" else 0.6)


def test_only_given_thresholds_are_chosen_from():
    evaluator = Evaluator({"a": Semantic()}, monitor="iou", thresholds=(0.1, 0.48, 0.52, 0.74, 0.9))
    evaluator.update(CLEAR, HALF, HALF)
    assert evaluator.chosen_threshold() == 0.52


def test_a_threshold_without_a_score_is_not_chosen_if_another_has_one():
    nothing = np.zeros((1, 4), int)
    evaluator = Evaluator({"a": Semantic()}, monitor="iou")
    evaluator.update(of_cell(np.full((1, 4), 0.25)), nothing, nothing)
    # Above 0.2 there is nothing in truth and prediction, and so no score; up to 0.2 the score is 0.
    assert evaluator.chosen_threshold() == 0.1
    assert evaluator.compute()["iou"] == 0


def test_where_no_threshold_has_a_score_the_middle_one_is_chosen():
    nothing = np.zeros((1, 4), int)
    evaluator = Evaluator({"a": Instances()}, monitor="seg")
    assert np.isnan(evaluator.update(CLEAR, nothing, nothing)["seg"])
    assert evaluator.chosen_threshold() == 0.5


def of_one_image(scores):
    """Without the means over images."""
    return {name: score for name, score in scores.items() if not name.endswith("_per_image")}


def test_update_scores_the_image_alone_and_compute_all_of_them():
    metrics = {"a": PixelError(), "b": Semantic(), "c": Instances()}
    images = [noisy(seed) for seed in range(3)]
    evaluator = Evaluator(metrics, 0.4)

    def expected(*images):
        at_each = [at(PixelError(), threshold, *images) for threshold in THRESHOLDS]
        best = {name: min(scores[name] for scores in at_each) for name in PixelError.modes}
        return best | at(Semantic(), 0.4, *images) | at(Instances(), 0.4, *images)

    for image in images:
        assert evaluator.update(*image) == pytest.approx(of_one_image(expected(image)), nan_ok=True)
    assert evaluator.compute() == pytest.approx(expected(*images), nan_ok=True)


def test_reset_forgets_all_images_and_the_threshold_they_chose():
    evaluator = Evaluator({"a": PixelError(), "b": Semantic(), "c": Instances()}, monitor="iou")
    evaluator.update(*noisy(0))
    evaluator.reset()
    alone = evaluator.update(CLEAR, HALF, HALF)
    assert of_one_image(evaluator.compute()) == alone
    assert (alone["iou"], evaluator.chosen_threshold()) == (1, 0.6)


def test_evaluators_of_the_same_metrics_do_not_share_images():
    metrics = {"a": Semantic()}
    one, other = Evaluator(metrics, 0.5), Evaluator(metrics, 0.5)
    one.update(CLEAR, 1 - HALF, HALF)
    other.update(CLEAR, HALF, HALF)
    assert (one.compute()["iou"], other.compute()["iou"]) == (0, 1)


def test_scores_of_label_images_are_the_same_at_all_thresholds():
    prediction, truth = Labels(np.array([[0, 2, 2, 0, 5]])), np.array([[0, 2, 2, 2, 1]])
    metrics = {"a": PixelError(), "b": RandError(), "c": Semantic(), "d": Instances()}
    sweeps = {0.0: (0.0,), 0.5: THRESHOLDS, 0.9: (0.9,)}
    evaluators = [Evaluator(metrics, threshold, thresholds=sweep) for threshold, sweep in sweeps.items()]
    scores = [evaluator.update(prediction, truth, truth) for evaluator in evaluators]
    assert scores[1] == pytest.approx(scores[0], nan_ok=True)
    assert scores[2] == pytest.approx(scores[0], nan_ok=True)
    assert scores[0]["pixel_error"] == pytest.approx(1 - 2 * 3 / (2 * 3 + 1))
    assert scores[0]["iou_class_2"] == pytest.approx(2 / 3)
    assert scores[0]["ap50"] == 1


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9])
def test_label_images_give_the_same_cells_and_classes_at_any_threshold(threshold):
    prediction = Labels(np.array([[0, 1, 0, 7, 7]]))
    assert prediction.cell(threshold).tolist() == [[0, 1, 0, 1, 1]]
    assert prediction.cell(threshold).dtype == np.float32
    assert prediction.classes(threshold).tolist() == prediction.labels(threshold).tolist() == [[0, 1, 0, 7, 7]]


def test_a_mask_gives_its_components_as_cells_but_itself_as_classes():
    prediction = Labels(np.array([[1, 1, 0, 1]]))
    assert prediction.labels(0.5).tolist() == [[1, 1, 0, 2]]
    assert prediction.classes(0.5).tolist() == [[1, 1, 0, 1]]


def test_of_two_classes_the_second_counts_where_it_is_above_the_threshold():
    prediction = of_cell([[0.25, 0.5, 0.75]])
    assert prediction.cell(0.9).tolist() == [[0.25, 0.5, 0.75]]
    assert prediction.classes(0.5).tolist() == [[0, 0, 1]]
    assert prediction.classes(0.2).tolist() == [[1, 1, 1]]


def test_of_three_classes_the_most_probable_counts_whatever_the_threshold():
    values = np.array([[[0.5, 0.25, 0.25]], [[0.25, 0.5, 0.0]], [[0.25, 0.25, 0.75]]], np.float32)
    prediction = Probabilities(values, segment)
    for threshold in (0.0, 0.5, 0.9):
        assert prediction.cell(threshold).tolist() == [[0.5, 0.75, 0.75]]
        assert prediction.classes(threshold).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("classes", [2, 3])
def test_cells_of_probabilities_are_those_of_the_decoder(classes):
    values, asked = np.full((classes, 1, 4), 1 / classes, np.float32), []

    def number(probabilities, threshold):
        asked.append((probabilities is values, threshold))
        return np.array([[3, 0, 4, 4]])

    assert Probabilities(values, number).labels(0.3).tolist() == [[3, 0, 4, 4]]
    assert asked == [(True, 0.3)]


def test_an_unknown_monitor_names_the_valid_scores():
    metrics = {"a": PixelError(), "b": RandError(), "c": Semantic()}
    with pytest.raises(ValueError, match=r"got xyz; nearest valid: pixel_error, wrong_pixels, ") as error:
        Evaluator(metrics, monitor="xyz")
    assert all(name in str(error.value) for metric in metrics.values() for name in metric.modes)
    with pytest.raises(ValueError, match=r"got pixel_eror; nearest valid: pixel_error$"):
        Evaluator(metrics, monitor="pixel_eror")


@pytest.mark.parametrize(
    "monitor", ["iou_classes_2", "iou_class_", "iou_per_images", "iou_class_2_per_image", "class_2", "pq"]
)
def test_a_name_that_only_resembles_a_score_is_refused(monitor):
    with pytest.raises(ValueError, match=f"got {monitor};"):
        Evaluator({"a": Semantic()}, monitor=monitor)


def test_the_score_of_a_class_chooses_the_threshold():
    evaluator = Evaluator({"a": Semantic()}, monitor="recall_class_0")
    evaluator.update(CLEAR, HALF, HALF)
    # Background is found at 0.5 and above, and 0.7 is the middle of those; for `recall` it would be 0 to 0.7.
    assert evaluator.chosen_threshold() == 0.7


def test_an_image_without_the_class_whose_score_chooses_is_scored():
    evaluator = Evaluator({"a": Semantic()}, monitor="iou_class_2")
    values = np.eye(3, dtype=np.float32)[[[0, 1, 1, 0]]].transpose(2, 0, 1)
    one = Probabilities(values, segment)
    assert evaluator.update(one, np.array([[0, 1, 0, 0]]), HALF)["iou_class_1"] == 0.5
    two = Probabilities(values[[0, 2, 1]], segment)
    assert evaluator.update(two, np.array([[0, 2, 0, 0]]), HALF)["iou_class_2"] == 0.5
    assert evaluator.compute()["iou_class_2"] == 0.5


def test_the_mean_over_images_chooses_the_threshold():
    small, large = np.array([[1] + [0] * 9]), np.array([[1] * 8 + [0] * 2])
    # At 0.25 the small cell is five times too large and the large one as it should be; at 0.75 the
    # small one is as it should be, and of the large one half is lost.
    low = of_cell(np.where(small, 0.95, np.where(np.arange(10) < 5, 0.5, 0)))
    high = of_cell(np.where(np.arange(10) < 4, 0.95, np.where(large, 0.5, 0)))
    chosen = {}
    for monitor in ("iou", "iou_per_image"):
        evaluator = Evaluator({"a": Semantic()}, monitor=monitor, thresholds=(0.25, 0.75))
        evaluator.update(low, small, small)
        evaluator.update(high, large, large)
        chosen[monitor] = evaluator.chosen_threshold()
    # Pooled 9 / 13 against 5 / 9; averaged (1 / 5 + 1) / 2 against (1 + 1 / 2) / 2.
    assert chosen == {"iou": 0.25, "iou_per_image": 0.75}


@pytest.mark.parametrize("monitor", ["iou", "iou_class_2", "dice_per_image"])
def test_scores_of_classes_are_to_be_maximised(monitor):
    assert Evaluator({"a": Semantic(), "b": PixelError()}, monitor=monitor).mode(monitor) == "max"


@pytest.mark.parametrize("monitor", ["iou_class_9", "iou_per_image_class_1", "iou_class_1_per_image"])
def test_a_score_that_no_image_can_have_is_refused(monitor):
    with pytest.raises(ValueError, match="nearest valid: iou"):
        Evaluator({"a": Semantic()}, monitor=monitor, classes=3)


def test_a_class_that_occurs_nowhere_has_no_score():
    evaluator = Evaluator({"a": Semantic()}, monitor="iou_class_2", classes=3)
    evaluator.update(of_cell(np.array([[0.9, 0.1]])), np.array([[1, 0]]), np.array([[1, 0]]))
    assert np.isnan(evaluator.compute()["iou_class_2"]) and evaluator.compute()["iou_class_1"] == 1
    assert evaluator.chosen_threshold() in THRESHOLDS


def test_threshold_or_monitor_is_required():
    Evaluator({"a": PixelError()})
    with pytest.raises(ValueError, match="monitor"):
        Evaluator({"a": PixelError(), "b": Semantic()})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int32, ">u2"])
def test_integers_of_any_type_score_the_same(dtype):
    labels = np.array([[1, 2, 0]], dtype)
    evaluator = Evaluator({"a": PixelError(), "b": Semantic(), "c": Instances()}, 0.5, thresholds=(0.0,))
    scores = evaluator.update(Labels(labels), labels, labels)
    assert (scores["pixel_error"], scores["iou"], scores["ap"]) == (0, 1, 1)


@pytest.mark.parametrize("metric", [Semantic(), PixelError(), RandError()], ids=lambda m: type(m).__name__)
def test_pixels_without_annotation_change_no_score(metric):
    prediction, target, instances = noisy(5)
    known = np.ones(target.shape, bool)
    known[:, 10:] = False

    def scores(seed):
        random = np.random.default_rng(seed)
        wrong = of_cell(np.where(known, prediction.values[1], random.random(known.shape)))
        truth = np.where(known, target, random.integers(0, 2, known.shape))
        evaluator = Evaluator({"metric": metric}, 0.5)
        evaluator.update(wrong, truth, np.where(known, instances, truth), known)
        return evaluator.compute()

    assert scores(1) == scores(2)


def test_cells_are_segmented_in_the_whole_image_and_masked_afterwards():
    prediction, target, instances = noisy(5)
    known = np.ones(target.shape, bool)
    known[:, 10:] = False
    for metric in (Instances(), OfLabels()):
        of = Evaluator({"metric": metric}, 0.5)
        written = Labels(np.pad(prediction.labels(0.5), ((0, 0), (0, 1)), constant_values=99)[:, :-1])
        assert of.update(prediction, target, instances, known) == of.update(written, target, instances, known)


def test_only_annotated_pixels_are_counted():
    target = np.array([[1, 1, 0, 0, 1, 0]])
    known = np.array([[True, True, True, True, False, False]])
    evaluator = Evaluator({"classes": Semantic()}, 0.5)
    evaluator.update(Labels(np.array([[1, 0, 0, 0, 0, 1]])), target, target, known)
    # One of two cell pixels found; the background is right but for one of three.
    assert evaluator.compute()["iou_class_1"] == pytest.approx(1 / 2)
    assert evaluator.compute()["iou_class_0"] == pytest.approx(2 / 3)
