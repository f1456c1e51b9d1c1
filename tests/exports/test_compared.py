"""A runtime that deviates is found, wherever and however little."""

import numpy as np
import pytest
import torch

from src.exports.compared import LARGEST_SIDE, difference, example
from src.files.grey import normalise
from src.model.trained import predict_window
from src.tiles.overlap import Window, reader
from tests.exports.made import FIXED, a_leaving, an_example, an_image


def test_what_is_expected_is_the_centre_of_the_image_by_the_trained_network():
    leaving = a_leaving()
    image = an_image(height=91, width=74)
    found = example(leaving, image, "noise")
    assert found.grey.shape == (1, 88, 72) and found.grey.dtype == np.float32
    np.testing.assert_array_equal(found.grey[0], image.array[1:89, 1:73, 0])
    grey = normalise(image.array, image.scaling)[1:89, 1:73].transpose(2, 0, 1)
    np.testing.assert_array_equal(found.scaled, grey)
    with torch.inference_mode():
        expected = predict_window(leaving.trained.model, reader(torch.from_numpy(grey)[None]), Window(0, 0, 88, 72))
    np.testing.assert_allclose(found.expected, expected[0], rtol=0, atol=1e-6)
    large = example(leaving, an_image(height=LARGEST_SIDE + 7, width=20), "noise")
    assert large.grey.shape == (1, LARGEST_SIDE, 20)


@torch.inference_mode()
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("grey_range", [None, FIXED])
def test_the_network_itself_does_not_differ_and_a_wrong_one_does(grey_range, padded, mirrored):
    leaving = a_leaving(grey_range=grey_range, padded=padded, mirrored=mirrored)
    network, seen = leaving.network(), []

    def compute(image, shift=0.0):
        seen.append(image.shape)
        found = network(torch.from_numpy(image)).numpy()
        found[0, 1, found.shape[2] // 2, found.shape[3] // 2] += shift
        return found

    example = an_example(leaving)
    assert difference(leaving, compute, example) < 1e-5
    assert len(seen) == 4, "tile by tile"
    assert difference(leaving, lambda image: compute(image, 1e-3), example) == pytest.approx(1e-3, rel=0.05)


@torch.inference_mode()
def test_no_number_is_a_difference():
    leaving = a_leaving()
    network = leaving.network()
    found = difference(leaving, lambda image: network(torch.from_numpy(image)).numpy() * np.nan, an_example(leaving))
    assert not found <= 1
