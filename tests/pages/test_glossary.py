"""Each score is explained."""

import pytest

from src import build
from src.metrics.goodness import PER_IMAGE
from src.metrics.instance import MISTAKES
from src.pages.glossary import HIGHER, LOWER, meaning
from tests.conftest import composed


@pytest.mark.parametrize("metrics", ["isbi", "instances", "semantic"])
def test_each_score_is_explained_with_its_direction(metrics):
    for metric in build.make(composed(f"metrics={metrics}"), "metrics").values():
        for name, mode in metric.modes.items():
            direction = "fewer is better" if name in MISTAKES else {"max": HIGHER, "min": LOWER}[mode]
            assert direction in meaning(name), name


def test_scores_of_a_class_and_means_of_images_say_so():
    assert "(class 2)" in meaning("iou_class_2") and "mean over the images" in meaning(f"iou{PER_IMAGE}")
    assert meaning("something") == ""
