"""The parts of one training run."""

import pytest

from src import training
from src.data.annotated import read_pair
from tests.conftest import composed


def test_a_part_that_no_file_of_conf_calls_is_refused_before_training():
    config = composed("optimizer._target_=torch.optim.RMSprop", "~optimizer.weight_decay", "~optimizer.fused")
    with pytest.raises(ValueError, match=r"conf/optimizer/mine\.yaml with _target_: torch\.optim\.RMSprop"):
        training.make_segmenter(config)


def judged(tmp_path, checked, *overrides):
    """Kind and values that are trained with, as a check has found them or somebody has chosen."""
    config = composed("data=folder", f"data.root={tmp_path}", *overrides)
    chosen, _ = training.with_label_meaning(config, tmp_path, checked, None, read_pair)
    return chosen["data"]["source"]["kind"], chosen["data"]["source"]["values"]


@pytest.mark.parametrize(
    ("checked", "overrides", "expected"),
    [
        ({"kind": "classes", "values": [0, 1, 5]}, (), ("classes", [0, 1, 5])),
        ({"kind": "boundary", "values": [255, 0]}, (), ("boundary", [255, 0])),
        ({"kind": "instances", "values": None}, (), ("instances", None)),
        ({"kind": "classes", "values": [0, 1, 5]}, ("data.source.values=[0,5,1]",), ("classes", [0, 5, 1])),
        ({"kind": "classes", "values": [0, 1]}, ("data.source.kind=classes",), ("classes", [0, 1])),
        ({"kind": "classes", "values": [0, 1]}, ("data.source.kind=binary",), ("binary", None)),
        # As versions wrote it that took small numbers as classes themselves, whether or not all of them occur.
        (
            {"kind": "classes", "values": None, "classes": {"0": 0.5, "1": 0.3, "5": 0.2}},
            (),
            ("classes", [0, 1, 2, 3, 4, 5]),
        ),
    ],
)
def test_labels_mean_in_training_what_the_check_took_them_for(checked, overrides, expected, tmp_path):
    assert judged(tmp_path, {"classes": {}} | checked, *overrides) == expected


def test_data_other_than_a_folder_keep_their_meaning(tmp_path):
    config = composed("data=phantom")
    assert training.with_label_meaning(config, tmp_path, None, None, read_pair) == (config, None)
