"""A plane that is labelled block by block has the labels that it has in memory."""

import numpy as np
import pytest
import zarr
from scipy import ndimage

from src.files.image import Image, read_image
from src.files.legend import Legend
from src.instances import Classes, Components, Decoder, Watershed
from src.prediction import labelling
from src.prediction.labelling import label, label_image
from src.prediction.store import Store
from src.tiles.blocks import blocks
from src.tiles.overlap import Window

SIDE = 16
SHAPE = 45, 61


def classes(probabilities, threshold):
    return Classes()(probabilities, threshold)


def components(probabilities, threshold, **options):
    return Components(**options)(probabilities, threshold)


def watershed(probabilities, threshold, **options):
    return Watershed(**options)(probabilities, threshold)


CHOICES = {classes: Classes, components: Components, watershed: Watershed}


def numbering(function, threshold=0.5, **options):
    return Decoder(CHOICES[function](**options), threshold)


def probabilities(count, *stack):
    """Smooth probabilities of ``count`` classes, with cells that cross blocks and have holes."""
    noise = np.random.default_rng(count).normal(size=(*stack, count, *SHAPE))
    exponential = np.exp(ndimage.gaussian_filter(noise, (*(0 for _ in stack), 0, 2, 2)) * 8)
    return (exponential / exponential.sum(axis=-3, keepdims=True)).astype(np.float32)


@pytest.fixture
def stores(tmp_path):
    """Make a store of probabilities and one for labels: → (labels, probabilities)."""

    def make(values):
        count, *stack = values.shape[-3], *values.shape[:-3]
        image = Image(tmp_path / "a.tif", np.zeros((*stack, *SHAPE), np.uint8), "TZYX"[2 - len(stack) :])
        predicted = Store(tmp_path / "a_p.tif", image, count if count > 2 else 1, "float32", SIDE, "p")
        for plane, place in enumerate(np.ndindex(*stack)):
            shown = values[place] if count > 2 else values[place][1]
            for window in predicted.blocks:
                predicted.write(plane, window, cut(shown, window))
        return Store(tmp_path / "a_l.tif", image, 1, "int32", SIDE, "l"), predicted

    return make


def cut(values, window):
    return values[..., window.top : window.top + window.height, window.left : window.left + window.width]


def whole_planes(store):
    return np.stack([store.read(plane, Window(0, 0, *SHAPE)) for plane in range(store.image.planes)])


def same_up_to_numbering(a, b):
    pairs = set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    return len(pairs) == len(np.unique(a)) == len(np.unique(b)) and np.array_equal(a > 0, b > 0)


def labelled(stores, values, module):
    labels, predicted = stores(values)
    label(labels, predicted, module)
    return whole_planes(labels)


NUMBERINGS = {
    "components": (components, {}),
    "components of a size": (components, {"min_size": 25}),
    "components without holes": (components, {"min_size": 25, "fill_holes": True}),
    "classes": (classes, {}),
    "watershed": (watershed, {"marker": 0.3, "min_size": 9}),
}


@pytest.mark.parametrize("at_once", [labelling.AT_ONCE, 0], ids=["in memory", "block by block"])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(("function", "options"), NUMBERINGS.values(), ids=NUMBERINGS)
def test_labels_are_those_of_the_whole_plane(function, options, count, at_once, stores, monkeypatch):
    monkeypatch.setattr(labelling, "AT_ONCE", at_once)
    values = probabilities(count)
    threshold = 0.55
    (found,) = labelled(stores, values, numbering(function, threshold, **options))
    # The store keeps one probability of two classes; the other is what is left to 1.
    expected = function(np.stack([1 - values[1], values[1]]) if count == 2 else values, threshold, **options)
    assert found.dtype == np.int32
    assert len(np.unique(expected)) > 1
    assert np.array_equal(found, expected) if function is not components else same_up_to_numbering(found, expected)
    if function is components:
        assert sorted(set(found.ravel().tolist()) - {0}) == list(range(1, expected.max() + 1))


def test_the_planes_hold_what_the_tests_need():
    for count in (2, 3):
        values = probabilities(count)
        every = components(values, 0.55)
        assert len(np.unique(components(values, 0.55, min_size=25))) < len(np.unique(every))
        assert (components(values, 0.55, fill_holes=True) > 0).sum() > (every > 0).sum()
        block = ndimage.label(cut(every, Window(0, 0, SIDE, SIDE)))[0]
        assert not same_up_to_numbering(watershed(values, 0.55, marker=0.3), every)
        assert set(np.unique(every[SIDE - 1])) & set(np.unique(every[SIDE])) > {0} and block.any()


@pytest.mark.parametrize("at_once", [labelling.AT_ONCE, 0], ids=["in memory", "block by block"])
def test_each_plane_of_a_stack_is_numbered_by_itself(at_once, stores, monkeypatch):
    monkeypatch.setattr(labelling, "AT_ONCE", at_once)
    values = probabilities(2, 2, 2)
    found = labelled(stores, values, numbering(components, min_size=4))
    for plane, place in enumerate(np.ndindex(2, 2)):
        expected = components(values[place], 0.5, min_size=4)
        assert same_up_to_numbering(found[plane], expected)
        assert found[plane].max() == expected.max() > 1


@pytest.mark.parametrize(
    ("function", "options", "whole"),
    [
        (components, {}, False),
        (components, {"fill_holes": False}, False),
        (components, {"fill_holes": True}, True),
        (classes, {}, False),
        (watershed, {"marker": 0.5}, True),
    ],
)
def test_only_what_needs_it_sees_a_large_plane_as_a_whole(function, options, whole, stores, monkeypatch):
    monkeypatch.setattr(labelling, "AT_ONCE", 0)
    labels, predicted = stores(probabilities(2))
    windows, read = [], predicted.read
    monkeypatch.setattr(predicted, "read", lambda plane, window: windows.append(window) or read(plane, window))
    label(labels, predicted, numbering(function, **options))
    assert (Window(0, 0, *SHAPE) in windows) == whole
    assert set(windows) == ({Window(0, 0, *SHAPE)} if whole else set(blocks(*SHAPE, SIDE)))


@pytest.fixture
def segmented(monkeypatch):
    """The shapes of what is decoded as a whole."""
    shapes, decode = [], Decoder.__call__
    monkeypatch.setattr(Decoder, "__call__", lambda self, values: shapes.append(values.shape) or decode(self, values))
    return shapes


def test_a_small_plane_is_segmented_once_and_by_the_network(stores, segmented):
    labelled(stores, probabilities(2), numbering(components))
    assert segmented == [(2, *SHAPE)]


@pytest.mark.parametrize(("spare", "whole"), [(0, True), (-1, False)])
def test_a_plane_is_large_from_its_number_of_pixels(spare, whole, stores, segmented, monkeypatch):
    monkeypatch.setattr(labelling, "AT_ONCE", SHAPE[0] * SHAPE[1] + spare)
    labelled(stores, probabilities(2), numbering(components))
    assert bool(segmented) == whole


@pytest.mark.parametrize("at_once", [labelling.AT_ONCE, 0], ids=["in memory", "block by block"])
@pytest.mark.parametrize("function", [components, classes])
def test_the_threshold_itself_is_background(function, at_once, stores, monkeypatch):
    monkeypatch.setattr(labelling, "AT_ONCE", at_once)
    values = np.full((2, *SHAPE), 0.5, np.float32)
    assert not labelled(stores, values, numbering(function, 0.5)).any()


@pytest.mark.parametrize("at_once", [labelling.AT_ONCE, 0], ids=["in memory", "block by block"])
@pytest.mark.parametrize("function", [components, classes])
def test_the_threshold_of_the_network_decides(function, at_once, stores, monkeypatch):
    monkeypatch.setattr(labelling, "AT_ONCE", at_once)
    values = np.full((2, *SHAPE), 0.5, np.float32)
    assert (labelled(stores, values, numbering(function, 0.4)) == 1).all()


@pytest.mark.parametrize("ending", [".tif", ".zarr"])
@pytest.mark.parametrize("at_once", [SIDE, 2**20])
def test_classes_are_written_by_their_values_and_cells_by_their_numbers(ending, at_once, stores, monkeypatch, tmp_path):
    monkeypatch.setattr(labelling, "AT_ONCE", at_once)
    _, predicted = stores(probabilities(3))
    legend = Legend((0, 7, 300), ("ground", "cell", "nucleus"), ((0, 0, 0), (0, 255, 0), (255, 0, 0)))
    expected = np.array(legend.values)[classes(probabilities(3), 0.5)]
    label_image(tmp_path / f"a{ending}", predicted, Decoder(Classes(), 0.5), "a", legend)[0].finish()
    found, _ = read_image(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(found, expected)
    if ending == ".zarr":
        group = zarr.open_group(tmp_path / "a.zarr", mode="r")
        assert group["labels"].attrs["ome"] == {"version": "0.5", "labels": ["classes"]}
        described = group["labels/classes"].attrs["ome"]
        assert described["image-label"]["properties"][2] == {"label-value": 300, "class": "nucleus"}
        assert described["image-label"]["colors"][1] == {"label-value": 7, "rgba": [0, 255, 0, 255]}
        assert described["image-label"]["source"] == {"image": "../../"}
        np.testing.assert_array_equal(read_image(tmp_path / "a.zarr" / "labels" / "classes")[0], expected)
    label_image(tmp_path / f"b{ending}", predicted, Decoder(Components(), 0.5), "b", legend)[0].finish()
    np.testing.assert_array_equal(read_image(tmp_path / f"b{ending}")[0], components(probabilities(3), 0.5))
