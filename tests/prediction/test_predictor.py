"""Windows on disk through networks: what is read, what is predicted, what fits into memory, who does what."""

import contextlib
import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.files.grey import normalise
from src.files.image import Image
from src.model.trained import predict_window
from src.model.unet import UNet
from src.prediction import predictor as module
from src.prediction.predictor import PlaneReader, Predictor, fill, verify
from src.prediction.store import Store
from src.tiles.blocks import blocks
from src.tiles.geometry import covering_side, is_valid_side
from src.tiles.overlap import Window, reader

CPU = torch.device("cpu")


def an_image(shape=(70, 90), axes="YX", dtype="uint8", seed=0):
    values = np.random.default_rng(seed).normal(120, 40, shape)
    return Image(Path("a.tif"), values.clip(0, 255).astype(dtype), axes)


def a_network(model=UNet, seed=0, depth=2, classes=2, **options):
    """A small network of which no bias is at its neutral start, so that its borders would show."""
    torch.manual_seed(seed)
    network = model(base_channels=2, depth=depth, classes=classes, **options).to(memory_format=torch.channels_last)
    for name, value in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.uniform_(value, 0, 0.5)
    return network


def a_predictor(*modules, tile=None, dtype=torch.float32, tta="none"):
    # By PyTorch, because that computes also networks of which forward is another one.
    return Predictor(modules or [a_network()], CPU, dtype, tta, tile, "torch")


@pytest.fixture
def threads():
    with ThreadPoolExecutor(1) as pool:
        yield pool


def whole(network, grey, tta="none"):
    """Class probabilities ``(N, K, H, W)`` of whole images ``(N, C, H, W)``."""
    return predict_window(network, reader(grey), Window(0, 0, *grey.shape[-2:]), tta)


def expected(image, plane, networks, tta="none"):
    """The mean probabilities of a whole plane ``(K, H, W)``."""
    values = image.array[np.unravel_index(plane, image.stack_shape)] if image.stack_shape else image.array
    grey = torch.from_numpy(normalise(np.asarray(values), "objects"))[None, None]
    with torch.inference_mode():
        return torch.stack([whole(network.eval(), grey, tta)[0] for network in networks]).mean(dim=0).numpy()


def predicted(predictor, read, side):
    """A whole plane, put together from blocks."""
    plane = np.full((predictor.classes, read.image.height, read.image.width), np.nan, np.float32)
    for window in blocks(*plane.shape[1:], side):
        top, left, height, width = window
        plane[:, top : top + height, left : left + width] = predictor(read, window)
    return plane


KINDS = [("YX", (), "uint8"), ("ZYX", (3,), "uint16"), ("YX", (), "float32"), ("TZYX", (2, 2), "float64")]


@pytest.mark.parametrize(("axes", "stack", "dtype"), KINDS)
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_window_is_that_of_the_scaled_and_mirrored_plane(axes, stack, dtype, data):
    height, width = data.draw(st.integers(2, 40)), data.draw(st.integers(2, 40))
    image = an_image((*stack, height, width), axes, dtype)
    plane = data.draw(st.integers(0, image.planes - 1))
    windows = data.draw(
        st.lists(
            st.tuples(st.integers(-60, 60), st.integers(-60, 60), st.integers(1, 70), st.integers(1, 70)), min_size=1
        )
    )
    values = image.array[np.unravel_index(plane, stack)] if stack else image.array
    whole = np.pad(normalise(values, "objects"), 140, mode="reflect")
    with ThreadPoolExecutor(1) as threads:
        read = PlaneReader(image, plane, CPU, threads)
        for top, left, *extent in windows:
            if data.draw(st.booleans()):
                first = data.draw(st.integers(0, height - 1))
                last = data.draw(st.integers(first + 1, height))
                read.read_ahead(first, last)
                read.hold(first, last)
            seen = read(Window(top, left, *extent))
            assert seen.dtype == torch.float32
            assert seen.shape == (1, 1, *extent)
            assert np.array_equal(seen[0, 0], whole[140 + top :, 140 + left :][: extent[0], : extent[1]])


@pytest.mark.parametrize("axes", ["CYX", "YXS"])
def test_channels_come_first(axes, threads):
    image = an_image((3, 20, 30) if axes == "CYX" else (20, 30, 3), axes)
    channels_last = image.array.transpose(1, 2, 0) if axes == "CYX" else image.array
    seen = PlaneReader(image, 0, CPU, threads)(Window(2, 3, 10, 12))
    assert np.array_equal(seen[0], normalise(channels_last, "objects").transpose(2, 0, 1)[:, 2:12, 3:15])


def test_a_constant_plane_is_black(threads):
    image = Image(Path("a.tif"), np.full((9, 9), 7, np.uint8), "YX")
    assert not PlaneReader(image, 0, CPU, threads)(Window(-3, -3, 15, 15)).any()


def counting(image):
    """The image, and the bands that are read of it."""
    bands = []

    class Counted(Image):
        def band(self, plane, top, bottom):
            bands.append((plane, top, bottom))
            return super().band(plane, top, bottom)

    return Counted(image.file, image.array, image.axes), bands


def test_a_band_that_was_read_ahead_is_not_read_again(threads):
    image, bands = counting(an_image())
    read = PlaneReader(image, 0, CPU, threads)
    bands.clear()
    read.read_ahead(0, 70)
    read.hold(0, 70)
    for left in (0, 30, 60):
        read(Window(-4, left, 78, 30))
    assert bands == [(0, 0, 70)]


def test_what_cannot_be_read_ahead_is_said_when_it_is_needed(threads):
    image = an_image()
    read = PlaneReader(image, 0, CPU, threads)
    read.hold(0, 30)

    def broken(*_):
        raise OSError("the disk is gone")

    object.__setattr__(image, "band", broken)
    read.read_ahead(20, 50)
    read(Window(0, 0, 10, 10))
    with pytest.raises(OSError, match="the disk is gone"):
        read.hold(20, 50)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("most", [2**25, 70 * 90 // 2], ids=["range of all rows", "range of every other row"])
def test_what_is_not_a_number_is_refused_and_the_file_named(value, most, threads, monkeypatch):
    monkeypatch.setattr("src.files.grey.MOST_GREY_VALUES", most)
    image = an_image(dtype="float32")
    image.array[33, 44] = value
    with pytest.raises(ValueError, match=r"expected finite grey values, but a\.tif contains NaN"):
        PlaneReader(image, 0, CPU, threads)(Window(20, 0, 30, 30))


@pytest.mark.parametrize("side", [24, 37, 200])
@pytest.mark.parametrize(("tile", "padded"), [(None, False), (60, False), (None, True), (64, True)])
def test_blocks_equal_the_network_on_the_whole_image(side, tile, padded, threads):
    image, network = an_image((2, 50, 60), "ZYX"), a_network(padded=padded, classes=3)
    predictor = a_predictor(network, tile=tile)
    for plane in range(2):
        found = predicted(predictor, PlaneReader(image, plane, CPU, threads), side)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected(image, plane, [network]), atol=1e-5)


@pytest.mark.parametrize("tta", ["d4", "rot7"])
def test_blocks_of_averages_equal_the_average_of_the_whole_image(tta, threads):
    image, network = an_image((40, 50)), a_network()
    found = predicted(a_predictor(network, tta=tta), PlaneReader(image, 0, CPU, threads), 32)
    np.testing.assert_allclose(found, expected(image, 0, [network], tta), atol=1e-5)


def test_several_networks_are_averaged(threads):
    image, networks = an_image(), [a_network(seed=seed) for seed in range(3)]
    read = PlaneReader(image, 0, CPU, threads)
    every = [predicted(a_predictor(network), read, 64) for network in networks]
    assert np.abs(every[0] - every[1]).max() > 0.01
    np.testing.assert_allclose(predicted(a_predictor(*networks), read, 64), np.mean(every, axis=0), atol=1e-6)


def test_bf16_is_near_and_still_a_probability(threads):
    image, network = an_image(), a_network()
    found = predicted(a_predictor(network, dtype=torch.bfloat16), PlaneReader(image, 0, CPU, threads), 64)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-6)
    difference = np.abs(found - expected(image, 0, [network])).max()
    assert 1e-5 < difference < 0.1


def test_a_network_in_training_predicts_as_one_that_is_trained(threads):
    network = a_network(norm="batch").train()
    predictor = a_predictor(network)
    read = PlaneReader(an_image(), 0, CPU, threads)
    first = predicted(predictor, read, 64)
    assert np.array_equal(first, predicted(a_predictor(network.eval()), read, 64))


@pytest.mark.parametrize("other", [{"depth": 1}, {"padded": True}, {"classes": 3}, {"in_channels": 2}])
def test_networks_of_different_shape_are_refused(other):
    with pytest.raises(ValueError, match="expected networks of one depth, padding, channels and classes, but got"):
        a_predictor(a_network(), a_network(**other))


@pytest.mark.parametrize(("tile", "nearest"), [(61, "60 and 64"), (40, "44"), (63, "60 and 64")])
def test_a_tile_that_does_not_fit_is_refused_and_the_nearest_named(tile, nearest):
    with pytest.raises(ValueError, match=f"but got {tile}; nearest valid: {nearest}"):
        a_predictor(tile=tile)


def failing(network, largest, error):
    """Let a network fail on tiles larger than ``largest`` pixels, and note the sides that it was given."""
    forward, sides = network.forward, []

    def limited(image):
        sides.append(image.shape[-1])
        if image.shape[-1] > largest:
            raise error
        return forward(image)

    network.forward = limited
    return sides


# As OpenVINO says it, and PyTorch on Windows, on Linux and by CUDA.
OUT_OF_MEMORY = {
    "OpenVINO": MemoryError("std::bad_alloc"),
    "CUDA": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
    "Windows": RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    "Linux": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4503599627370496 bytes. Error code 12 (Cannot allocate memory)"
    ),
}


@pytest.mark.parametrize("error", OUT_OF_MEMORY.values(), ids=OUT_OF_MEMORY)
@pytest.mark.parametrize("tile", [None, 1064])
def test_a_tile_that_does_not_fit_into_memory_is_halved(error, tile, threads, capsys):
    image, network = an_image((60, 250)), a_network()
    whole, read = expected(image, 0, [network]), PlaneReader(image, 0, CPU, threads)
    sides = failing(network, 200, error)
    predictor = a_predictor(network, tile=tile)
    found = predictor(read, Window(0, 0, 60, 250))
    np.testing.assert_allclose(found, whole, atol=1e-5)
    printed = capsys.readouterr().out.splitlines()
    kept = [128] if tile is None else [512, 256, 128]
    assert predictor.kept_side() == 128
    assert printed[-len(kept) :] == [f"out of memory: goes on with tiles of {k + 40} px" for k in kept]
    tried = len(sides)
    predictor(read, Window(0, 0, 60, 250))
    assert max(sides[tried:]) <= 200  # what did not fit once is not tried again


def test_out_of_the_memory_of_this_machine_is_known_as_such():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert module._is_out_of_memory(caught.value)


def test_the_smallest_tile_that_does_not_fit_ends_it(threads):
    network = a_network()
    sides = failing(network, 0, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        a_predictor(network, tile=104)(PlaneReader(an_image(), 0, CPU, threads), Window(0, 0, 64, 64))
    assert sides == [104, 72, 56, 48, 44]


def test_another_error_is_passed_on_at_once(threads, capsys):
    network = a_network()
    sides = failing(network, 0, RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        a_predictor(network)(PlaneReader(an_image(), 0, CPU, threads), Window(0, 0, 64, 64))
    assert len(sides) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("padded", [False, True])
def test_the_tile_is_measured(padded, capsys):
    predictor = a_predictor(a_network(padded=padded))
    predictor.measure_tile(512)
    assert is_valid_side(predictor.tile, 2, padded)
    assert predictor.kept_side() in (256, 512)
    assert re.fullmatch(rf"tile {predictor.tile} px: \d+\.\d\d Mpx/s measured\n", capsys.readouterr().out)


def test_no_tile_is_measured_that_is_larger_than_the_image():
    network = a_network()
    sides = failing(network, 10_000, None)
    a_predictor(network).measure_tile(100)
    assert set(sides) == {296}


@pytest.mark.parametrize("error", list(OUT_OF_MEMORY.values())[:2])
def test_a_tile_too_large_for_memory_is_not_chosen(error):
    network = a_network()
    failing(network, 300, error)
    predictor = a_predictor(network)
    predictor.measure_tile(2048)
    assert predictor.tile == 296


def test_if_not_even_the_smallest_measured_tile_fits_a_smaller_one_is_tried(threads):
    image, network = an_image(), a_network()
    whole = expected(image, 0, [network])
    failing(network, 200, torch.OutOfMemoryError("CUDA out of memory"))
    predictor = a_predictor(network)
    predictor.measure_tile(2048)
    found = predicted(predictor, PlaneReader(image, 0, CPU, threads), 64)
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_an_error_of_another_kind_ends_the_measurement():
    network = a_network()
    failing(network, 0, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        a_predictor(network).measure_tile(512)


class FarSighted(UNet):
    """One that sees the mean of all that it is given, as pooling over a whole tile does."""

    def forward(self, image):
        scores = super().forward(image)
        scores[:, 1:] += 5 * image.mean()
        return scores


class Deeper(UNet):
    """One that has a level more than it says."""

    def __init__(self, depth, **options):
        super().__init__(depth=depth + 1, **options)
        self.depth = depth


def uneven(shape=(128, 128)):
    return Image(Path("a.tif"), np.add.outer(np.arange(shape[0]), np.arange(shape[1])).astype(np.uint16) ** 2, "YX")


@pytest.mark.parametrize(("tile", "padded"), [(72, False), (None, False), (80, True), (None, True)])
def test_tiles_equal_one_pass(tile, padded, threads):
    predictor = a_predictor(a_network(padded=padded), tile=tile)
    difference = predictor.difference(PlaneReader(an_image((200, 200)), 0, CPU, threads), Window(33, 50, 101, 90))
    assert difference < 1e-5
    assert predictor.tile == tile


def test_a_network_that_sees_beyond_the_margin_is_found_out(threads):
    predictor = a_predictor(a_network(FarSighted), tile=72)
    assert predictor.difference(PlaneReader(uneven(), 0, CPU, threads), Window(0, 0, 64, 64)) > 0.01


def test_a_network_that_is_deeper_than_it_says_is_found_out(threads):
    predictor = a_predictor(a_network(Deeper, padded=True, seed=2), tile=56)
    assert predictor.difference(PlaneReader(an_image(), 0, CPU, threads), Window(0, 0, 64, 64)) > 0.01


@pytest.mark.parametrize("shape", [(1, 1), (9, 200), (128, 128)])
def test_verify_says_by_how_much_tiles_differ(shape, capsys):
    verify(an_image(shape), a_predictor(tile=72), seed=3)
    height, width = (min(length, 64) for length in shape)
    printed = capsys.readouterr().out
    expected = rf"tiles against one pass, {height}×{width} px at \(\d+, \d+\): largest difference \d\.\de[-+]\d\d\n"
    assert re.fullmatch(expected, printed)


def test_verify_refuses_a_network_that_sees_beyond_the_margin():
    with pytest.raises(ValueError, match=r"expected tiles to equal one pass to 0\.0001, but got a difference of 0"):
        verify(uneven(), a_predictor(a_network(FarSighted), tile=72), seed=0)


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("kept", [None, 16, 48, 260, 512, 2048])
def test_blocks_are_whole_tiles_and_not_too_small(kept, depth):
    tile = None if kept is None else covering_side(kept, depth, largest_kept=kept)
    predictor = a_predictor(a_network(depth=depth), tile=tile)
    assert predictor.kept_side() % 2**depth == 0
    side = predictor.block_side(10_000, 10_000)
    assert 128 <= side < 128 + predictor.kept_side()
    assert side % predictor.kept_side() == 0


def test_a_plane_that_is_not_large_is_one_block_as_slices_are_scored():
    assert a_predictor().block_side(2048, 2048) == 2048
    assert a_predictor().block_side(700, 1300) == 1300
    assert a_predictor().block_side(2048, 2049) == 512


def a_store(tmp_path, image, classes=2, side=32):
    return Store(tmp_path / "a.tif", image, classes if classes > 2 else 1, "float32", side, "made so")


def quietly(*arguments):
    with contextlib.redirect_stdout(io.StringIO()):
        fill(*arguments)


def written(store):
    """What is written to a store from now on."""
    write, places = store.write, []
    store.write = lambda plane, window, values: places.append((plane, window)) or write(plane, window, values)
    return places


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("shards", [1, 2])
def test_a_store_is_filled_with_what_the_network_says(classes, shards, tmp_path):
    image, network = an_image((2, 70, 90), "ZYX"), a_network(classes=classes)
    store = a_store(tmp_path, image, classes)
    for shard in range(shards):
        quietly(store, a_predictor(network), shard, shards)
    for plane in range(2):
        found, whole = store.read(plane, Window(0, 0, 70, 90)), expected(image, plane, [network])
        np.testing.assert_allclose(found, whole[1] if classes == 2 else whole, atol=1e-5)


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 20])
def test_shards_share_the_blocks(shards, tmp_path):
    image = an_image((2, 100, 70), "ZYX")
    store, every = a_store(tmp_path, image), []
    todo = store.missing()
    for shard in range(shards):
        own = written(a := a_store(tmp_path, image))
        quietly(a, a_predictor(), shard, shards)
        every.append(list(own))
        assert len({(plane, window.top) for plane, window in own}) <= -(-8 // shards)
    assert sorted(place for own in every for place in own) == todo
    assert store.missing() == []


def test_a_shard_is_the_same_when_others_have_done_theirs(tmp_path):
    image, stores = an_image((2, 100, 70), "ZYX"), []
    for order in ((0, 1, 2), (2, 1, 0)):
        done = {}
        for shard in order:
            store = a_store(tmp_path / str(order), image)
            done[shard] = written(store)
            quietly(store, a_predictor(), shard, 3)
        stores.append(done)
    assert stores[0] == stores[1]


def test_only_what_is_missing_is_predicted(tmp_path):
    image = an_image((100, 70))
    store = a_store(tmp_path, image)
    todo = store.missing()
    for plane, window in todo[::3]:
        store.write(plane, window, np.full(window[2:], 5))
    places = written(store)
    quietly(store, a_predictor(), 0, 1)
    assert places == [place for number, place in enumerate(todo) if number % 3]
    assert all((store.read(*place) == 5).all() for place in todo[::3])
    places.clear()
    quietly(store, a_predictor(), 0, 1)
    assert places == []


GREY = [(0, 512), (512, 520)]  # bands by which the range of grey values is found


@pytest.mark.parametrize("kept", [48, 128, 256])
def test_each_row_of_blocks_is_read_once(kept, tmp_path):
    image, bands = counting(an_image((2, 520, 270), "ZYX"))
    predictor = a_predictor(tile=kept + 40)
    store = a_store(tmp_path, image, side=predictor.block_side(520, 270))
    quietly(store, predictor, 0, 1)
    for plane in range(2):
        first, *others = [
            (top, bottom) for number, top, bottom in bands if number == plane and (top, bottom) not in GREY
        ]
        assert first[0] == 0 and [top for top, _ in others] == [first[1], *(bottom for _, bottom in others[:-1])]
        assert (others or [first])[-1][1] == 520
