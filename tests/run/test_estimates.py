"""What a cross-validation says of the scores that it estimates."""

from src.run.estimates import held_lines
from src.terminal import shown

HELD = {"images": 40, "covered": 37, "width": 0.12, "rank_correlation": 0.8}


def test_each_figure_is_said_with_what_it_is_of():
    known = {"score": "f1_50", "images": 40, "held": HELD, "rows": []}
    mean = {"estimates": HELD | {"images": 6, "covered": 6}, "single_estimates": HELD | {"rank_correlation": None}}
    said = held_lines(known, mean, shown)
    assert len(said) == 3 and "37 of 40 90% intervals contain the true score" in said[0]
    assert "width is 0.1200" in said[0]
    assert "by the ensemble" in said[1] and "6 of 6" in said[1] and said[2].endswith("true score is –.")
    assert held_lines(known, {}, shown) == said[:1]


def test_too_few_images_are_said_and_earlier_versions_say_nothing():
    few = {"score": "f1_50", "images": 7, "held": None, "rows": []}
    assert held_lines(few, {}, shown) == [
        "f1_50 is not estimated: 90% intervals need at least 9 images scored out of fold, but there are 7."
    ]
    assert held_lines(None, {}, shown) == []
