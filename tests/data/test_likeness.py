"""Likeness of images: near copies under any illumination, and neighbours in a series."""

import cv2
import numpy as np
import pytest

from src.data.likeness import FEWEST_SECTIONS, in_series, near_copies, thumbnail
from tests.data.own import draw
from tests.findings.broken import section

IMAGES = [draw(number)[0].astype(np.float32) for number in range(6)]
SEEN = np.stack([thumbnail(image) for image in IMAGES])


def test_a_thumbnail_is_like_itself_and_forgets_brightness_contrast_and_size():
    larger = cv2.resize(3 * IMAGES[0] + 40, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert SEEN[0] @ SEEN[0] == pytest.approx(1, abs=1e-5)
    assert SEEN[0] @ thumbnail(larger) > 0.99
    assert not thumbnail(np.full((50, 60), 7, np.float32)).any()


def test_a_noisy_copy_is_a_near_copy_and_other_images_are_none():
    noisy = IMAGES[2] + np.random.default_rng(0).normal(0, 5, IMAGES[2].shape).astype(np.float32)
    assert near_copies(SEEN @ thumbnail(noisy)).tolist() == [False, False, True, False, False, False]
    assert not near_copies(SEEN[1:] @ SEEN[0]).any()


def test_what_is_alike_anyway_has_to_be_more_alike():
    assert near_copies(np.array([0.95, 0.1, 0.1])).tolist() == [True, False, False]
    assert near_copies(np.array([0.95, 0.9, 0.9])).tolist() == [False, False, False]
    assert near_copies(np.array([0.996, 0.99, 0.99])).tolist() == [True, False, False]


def test_serial_sections_are_told_from_single_images():
    sections = np.stack([thumbnail(section(number)[1].astype(np.float32)) for number in range(12)])
    assert in_series(sections)
    assert not in_series(sections[np.random.default_rng(1).permutation(12)])
    assert not in_series(sections[: FEWEST_SECTIONS - 1])
    assert not in_series(np.stack([thumbnail(draw(number)[0].astype(np.float32)) for number in range(12)]))
