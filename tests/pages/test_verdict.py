"""The page's sentences: what the scores say, how certain they are, and what to do next."""

import pytest

from src.metrics.goodness import worst_first
from src.pages.verdict import next_steps, unlike, verdict

ROWS = [{"name": "a", "f1": 0.9}, {"name": "b", "f1": 0.2}, {"name": "c", "f1": None}, {"name": "d", "f1": 0.5}]


def rows(*scores: float) -> list[dict]:
    return worst_first([{"name": f"image_{n}", "f1": score} for n, score in enumerate(scores)], "f1", "max")


def test_the_verdict_names_the_worst_image_the_place_and_the_mistakes():
    scores = {"f1": 0.51, "splits": 2, "merges": 5, "missed": 0, "extra": 1}
    worst = worst_first(ROWS, "f1", "max")
    assert verdict(scores, worst, "f1", "held-out images", {"b": [("merged", 30, 40)]}) == (
        "On 4 held-out images, f1 is 0.510, pooled over them. Single images have 0.200 to 0.900, 0.533 on average (too "
        "few for a confidence interval). The worst is b, where the largest mistake (merged) is near row 30, column 40. "
        "Mistakes among cells: 2 split, 5 merged, 0 missed, 1 extra."
    )


def test_enough_images_have_an_interval_unless_the_page_has_another_one():
    given = {"f1": 0.7}, rows(0.6, 0.7, 0.8, 0.7, 0.7, 0.7), "f1", "held-out images", {}
    text = verdict(*given)
    assert "0.700 on average (95 % confidence interval of the mean 0.6" in text and "The worst is image_0." in text
    text = verdict(*given, with_interval=False)
    assert "interval" not in text and "Single images have 0.600 to 0.800. The worst is image_0." in text


def test_the_verdict_says_that_a_score_is_undefined():
    assert verdict({"f1": None}, [{"name": "a", "f1": None}], "f1", "images", {}) == (
        "1 image, for which f1 is undefined."
    )


@pytest.mark.parametrize(
    ("score", "words"),
    [
        ("splits", ["9 of 12 mistakes are cells split into pieces.", "instances.min_size"]),
        ("merges", ["9 of 12 mistakes are cells merged into one.", "target=border"]),
        ("missed", ["9 of 12 mistakes are missed cells.", "annotate more"]),
        ("extra", ["9 of 12 mistakes are cells where none is annotated.", "overlooked"]),
    ],
)
def test_the_commonest_mistake_says_what_to_do(score, words):
    counts = {"splits": 1, "merges": 1, "missed": 1, "extra": 1, score: 9}
    (step,) = next_steps({"f1": 0.7} | counts, rows(0.7, 0.7), "f1", "max")
    assert all(word in step for word in words), step


def test_a_score_that_was_still_rising_asks_for_more_steps():
    (step,) = next_steps({"f1": 0.7}, rows(0.7, 0.7), "f1", "max", extend_by=300)
    assert step == (
        "Train longer: validation f1 was still rising when training ended. The same command with extend=+300 continues "
        "the run."
    )


def test_one_image_unlike_the_others_is_named():
    found = rows(0.9, 0.91, 0.3, 0.92, 0.9)
    assert unlike(found, "f1", "max")["name"] == "image_2"
    (step,) = next_steps({"f1": 0.8}, found, "f1", "max")
    assert "Look at image_2" in step and "0.300 there, and the median of all images is 0.900" in step
    assert unlike(rows(0.9, 0.91, 0.88, 0.92, 0.9), "f1", "max") is None
    assert unlike(rows(0.9, 0.3, 0.9), "f1", "max") is None, "three are too few to tell"
    errors = [{"name": n, "e": e} for n, e in zip("abcde", (0.1, 0.11, 0.9, 0.1, 0.12), strict=True)]
    assert unlike(errors, "e", "min")["name"] == "c"


def test_where_nothing_stands_out_the_worst_image_is_what_to_annotate_more_of():
    (step,) = next_steps({"f1": 0.8}, rows(0.8, 0.7, 0.9), "f1", "max")
    assert "like image_1" in step
    assert next_steps({"f1": None}, [{"name": "a", "f1": None}], "f1", "max") == []
