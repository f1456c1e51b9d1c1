"""What one training run is made of."""

import pytest

from src import training
from tests.conftest import composed


def test_a_part_that_no_file_of_conf_calls_is_refused_before_training():
    config = composed("optimizer._target_=torch.optim.RMSprop", "~optimizer.weight_decay")
    with pytest.raises(ValueError, match=r"conf/optimizer/mine\.yaml with _target_: torch\.optim\.RMSprop"):
        training.make_segmenter(config)
