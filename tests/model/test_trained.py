"""A trained network predicts any window, and several networks agree on how they read and score images."""

import math

import pytest
import torch

from src.files.legend import Legend
from src.files.stored import EARLIER, SHOWN
from src.instances import Classes, Components, Decoder, Distance
from src.model.trained import (
    Trained,
    common_average,
    common_decoder,
    common_reading,
    logits,
    predict_window,
    stored_scores,
)
from src.model.unet import UNet
from src.tiles.overlap import Window, reader


@pytest.fixture
def model():
    torch.manual_seed(0)
    return UNet(base_channels=2, depth=2).eval()


def test_grey_is_seen_as_0(model):
    seen = []
    model.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].unique().tolist()))
    for value in (0.0, 0.5, 1.0):
        logits(model, torch.full((1, 1, 44, 44), value))
    assert seen == [[-1], [0], [1]]


@pytest.mark.parametrize("tta", ["none", "d4"])
def test_a_part_is_equal_to_the_same_part_of_the_whole(tta, model):
    image = torch.rand(1, 1, 50, 70, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole = predict_window(model, reader(image), Window(0, 0, 50, 70), tta)
        part = predict_window(model, reader(image), Window(11, 23, 17, 30), tta, tile=56)
    assert whole.shape == (1, 2, 50, 70)
    torch.testing.assert_close(part, whole[..., 11:28, 23:53])
    torch.testing.assert_close(whole.sum(dim=1), torch.ones(1, 50, 70))


def test_scores_of_a_checkpoint_have_nan_where_it_has_nothing():
    scores = stored_scores({"validation_scores": {"iou": 0.5, "iou_class_2": None}})
    assert scores["iou"] == 0.5 and math.isnan(scores["iou_class_2"])
    assert stored_scores({}) == {}


def test_what_belongs_to_a_prediction_is_a_value(model):
    trained = Trained(model, Decoder(Components(3), 0.4))
    assert trained.decoder == Decoder(Components(min_size=3), 0.4) and trained.validation_scores == {}


def test_networks_that_see_pixels_alike_have_one_reading(model):
    earlier, now = (Trained(model, Decoder(Components(3), 0.4), reading=reading) for reading in (EARLIER, SHOWN))
    assert common_reading([now, now]) == SHOWN and common_reading([earlier]) == EARLIER
    with pytest.raises(ValueError, match=r"networks trained on pixels that were read alike, but got .*percentiles"):
        common_reading([now, earlier])


def test_networks_that_were_scored_by_one_average_have_it_in_common(model):
    plain, turned = (Trained(model, Decoder(Components(3), 0.4), tta=tta) for tta in ("none", "rot7"))
    assert common_average([turned, turned]) == "rot7" and common_average([plain]) == "none"
    with pytest.raises(ValueError, match="expected networks scored with one tta, but got none, rot7; nearest valid: t"):
        common_average([plain, turned])


def ranks(**at):
    """Ranks at the thresholds from 0.4 on; 0 at the others."""
    return tuple(at.get(f"t{number}", 0.0) for number in range(1, 10))


def test_several_networks_choose_on_the_mean_of_their_validation_scores(model):
    one, other, third = Components(3), Distance(1.0), Distance(2.0)
    first = ((one, ranks(t4=0.9)), (other, ranks(t4=0.8, t5=0.7)), (third, ranks(t3=1.0)))
    second = ((other, ranks(t4=0.5, t5=0.8)), (one, ranks(t6=0.9)))
    trained = [Trained(model, Decoder(one, 0.4), choices=each) for each in (first, second)]
    assert common_decoder(trained) == Decoder(other, 0.5)
    assert common_decoder(trained[:1]) == Decoder(one, 0.4)


def test_networks_without_a_choice_in_common_take_the_first_numbering_and_the_mean_threshold(model):
    choices = ((Components(3), ranks(t4=0.9)),), ((Components(4), ranks(t4=0.9)),)
    trained = [
        Trained(model, Decoder(numbering, threshold), choices=tried)
        for numbering, threshold, tried in zip((Components(3), Components(4)), (0.4, 0.6), choices, strict=True)
    ]
    assert common_decoder(trained) == Decoder(Components(3), 0.5)


def test_networks_of_other_classes_have_no_mean(model):
    decoder = Decoder(Classes(), 0.4)
    ours, others = (
        Trained(model, decoder, reading=SHOWN, legend=Legend(values=values)) for values in ((0, 1), (0, 255))
    )
    assert common_reading([ours, ours]) == SHOWN
    with pytest.raises(ValueError, match="expected networks trained on the same classes"):
        common_reading([ours, others])
