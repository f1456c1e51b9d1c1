"""Labels agree with the image that they were drawn on, and less with one that was turned."""

import numpy as np
import pytest

from src.data.agreement import CLEAR, agreement
from tests.data.own import draw


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("turn", [np.rot90, np.flipud, np.fliplr, np.transpose])
def test_cells_agree_best_with_their_own_image(number, turn):
    image, cells = draw(number)
    own = agreement(image, cells)
    assert own > agreement(turn(image), cells) + CLEAR
    assert own == pytest.approx(agreement(np.repeat(image[..., None], 3, axis=2), cells))
    assert own == pytest.approx(agreement(255 - image, cells), abs=1e-6), "dark cells are cells too"


def test_nothing_agrees_with_nothing():
    image, cells = draw(0)
    assert agreement(np.zeros_like(image), cells) == agreement(image, np.zeros_like(cells)) == 0
