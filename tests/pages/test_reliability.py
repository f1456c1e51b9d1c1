"""The reliability diagram draws what was counted."""

from src.pages.reliability import drawn_reliability

STEPS = [{"count": 10, "predicted": 0.1, "true": 0.3}, {"count": 90, "predicted": 0.8, "true": 0.7}]


def test_it_is_a_drawing_with_both_curves_that_is_the_same_each_time():
    drawing = drawn_reliability({"before": STEPS, "after": STEPS[:1]})
    assert drawing.startswith("<svg") and drawing.rstrip().endswith("</svg>")
    assert "#e69f00" in drawing and "#2b8cc4" in drawing
    assert drawing == drawn_reliability({"before": STEPS, "after": STEPS[:1]})
    assert drawing != drawn_reliability({"before": STEPS[1:], "after": STEPS[:1]})
