"""The benchmark of a GPU computes on a CPU what it would there."""

import pytest

from tests.benchmarks import gpu

pytestmark = pytest.mark.filterwarnings("ignore")  # as `make bench-gpu` runs it

# Parts of a network with two channels on a tile of 188 px, which gives 4: multiplications of the first two layers.
FIRST_LAYERS = 2 * 9 * (186**2 * 1 * 2 + 184**2 * 2 * 2)


@pytest.mark.slow
def test_all_of_it_is_measured_on_whatever_device_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "RESULTS", tmp_path)
    found = gpu.main(channels=(2,), tiles=(188,), side=256, product_side=64, repeats=2)
    step = found["step, 2 channels, 188 px"]
    assert found["peak"] > 1e6 and step["tiles_per_second"] > 0 and 0 < step["of_peak"] < 1
    assert step["flop"] > 3 * FIRST_LAYERS  # forwards, and about twice as much backwards
    assert 0 < found["busy, 2 channels"] < 1.5
    assert set(found["prediction, 2 channels"]) == {"memory", "disk to disk"}
    assert (tmp_path / "gpu.json").exists()


@pytest.mark.slow
def test_the_minutes_to_a_score_are_those_of_a_run():
    tiny = ["data.tile=60", "data.workers=0", "model.depth=2", "model.base_channels=2", "data.source.size=64"]
    steps = ["trainer.max_steps=2", "trainer.val_check_interval=2", "data.validation=21", "data.held_out=24"]
    found = gpu.minutes_to(0.97, "demo", *tiny, *steps)
    assert found["minutes"] > 0 and 0 <= found["v_rand"] <= 1
    assert found["reached"] == (found["v_rand"] >= 0.97)
