"""One bad file ends nothing but itself: it is named, in one message, and soon; what is whole is read."""

import os
import resource
import time

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from src.data.numbers import read_labels
from src.run.directory import checkpoint_file
from tests.torture import images


@pytest.fixture(scope="module")
def network(finished_run, tmp_path_factory):
    return checkpoint_file(finished_run(tmp_path_factory.mktemp("torture") / "run"), "best")


def made(folder, files) -> dict[str, bytes]:
    """Write files, each under a name of its own: → them by stem."""
    folder.mkdir()
    written = {}
    for number, (name, data) in enumerate(files):
        suffix = name[name.rindex(".") :]
        stem = f"{number:04d}_{name.replace('.', '_')}"
        (folder / f"{stem}{suffix}").write_bytes(data)
        written[stem] = data
    return written


def predicted(files, network, run_command, tmp_path) -> tuple[set, str]:
    """Predict a folder of such files: → the stems of those that were predicted, and what was said."""
    written = made(tmp_path / "in", files)
    (tmp_path / "in" / "whole.png").write_bytes(images.whole()["png"])
    images.zarr_bomb(tmp_path / "in" / "bomb.zarr")
    os.mkfifo(tmp_path / "in" / "pipe.tif")
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    given = (f"checkpoint={network}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", "precision=32")
    status, _, error = run_command("predict", *given, "write=[probabilities]")
    assert status == 1 and "Traceback" not in error, error[-3000:]
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20 < 1.5
    assert (time.process_time() - started) / len(written) < 10
    done = {file.name.removesuffix("_probabilities.tif") for file in (tmp_path / "out").glob("[0-9w]*.tif")}
    assert "whole" in done and "bomb" not in done and "pipe" not in done
    for stem in written.keys() - done:
        lines = [line for line in error.splitlines() if stem in line and line.startswith("warning")]
        assert len(lines) == 1 and not lines[0].rstrip().endswith((":", ": 0")), f"{stem}: {lines}"
    for stem in done:
        values = tifffile.imread(tmp_path / "out" / f"{stem}_probabilities.tif")
        assert np.isfinite(values).all(), stem
    return done - {"whole"}, error


def must_be_refused(name: str) -> bool:
    return any(word in name for word in ("cut_", "bomb", "wide_", "high_", "tile_", "size_"))


def test_files_that_were_cut_off_or_promise_too_much_are_named_and_the_others_predicted(network, run_command, tmp_path):
    done, _ = predicted([*images.cut(), *images.bombs()], network, run_command, tmp_path)
    assert [stem for stem in done if must_be_refused(stem)] == []
    assert len([stem for stem in done if "pixel_" in stem]) == 4, "only the size of a pixel is wrong"


def test_of_files_with_wrong_bits_each_is_predicted_or_named(network, run_command, tmp_path):
    predicted(images.flipped(range(66)), network, run_command, tmp_path)


@pytest.mark.torture
@pytest.mark.parametrize("part", range(10))
def test_of_many_files_with_wrong_bits_each_is_predicted_or_named(part, network, run_command, tmp_path):
    done, _ = predicted(images.flipped(range(1000 + 110 * part, 1110 + 110 * part)), network, run_command, tmp_path)
    print(f"part {part}: of 110 files with wrong bits {len(done)} were predicted")


def checked(files, run_command, tmp_path) -> str:
    written = made(tmp_path / "images", files)
    (tmp_path / "labels").mkdir()
    labels = np.zeros((images.SIDE, images.SIDE), np.uint8)
    labels[20:30, 20:30] = 1
    for stem in written:
        tifffile.imwrite(tmp_path / "labels" / f"{stem}.tif", labels)
    status, printed, error = run_command("check", f"data.root={tmp_path}", f"cache_dir={tmp_path / 'cache'}")
    assert status == 1 and "Traceback" not in error, error[-3000:]
    return printed


def test_a_folder_with_such_files_is_checked_to_its_end(run_command, tmp_path):
    printed = checked([*images.cut(), *images.bombs()], run_command, tmp_path)
    refused = sum(must_be_refused(name) for name, _ in [*images.cut(), *images.bombs()])
    assert f"error unreadable ({refused} times)" in printed


@pytest.mark.torture
def test_a_folder_with_many_wrong_bits_is_checked_to_its_end(run_command, tmp_path):
    checked(images.flipped(range(5000, 5400)), run_command, tmp_path)


def scored(files, run_command, tmp_path) -> None:
    tifffile.imwrite(tmp_path / "truth.tif", (images.picture() > 100).astype(np.uint8))
    for name, data in files:
        file = tmp_path / f"prediction{name[name.rindex('.') :]}"
        file.write_bytes(data)
        status, _, error = run_command(
            "score", f"truth={tmp_path / 'truth.tif'}", f"prediction={file}", "metrics=instances"
        )
        assert "Traceback" not in error, (name, error[-3000:])
        assert status == 0 or (error.startswith(("error", "warning")) and str(file) in error), (name, error)
        assert status == 1 or not must_be_refused(name), name


@pytest.mark.slow
def test_such_files_are_scored_or_named(run_command, tmp_path):
    scored([*images.cut()][::3], run_command, tmp_path)


@pytest.mark.torture
def test_many_such_files_are_scored_or_named(run_command, tmp_path):
    scored([*images.cut(), *images.bombs(), *images.flipped(range(9000, 9200))], run_command, tmp_path)


@pytest.mark.slow
def test_a_large_label_image_that_compresses_well_is_read(tmp_path):
    labels = np.zeros((14_000, 14_000), np.uint8)
    labels[5000:6000, 5000:6000] = 1
    iio.imwrite(tmp_path / "large.png", labels)
    assert np.count_nonzero(read_labels(tmp_path / "large.png").numbers) == 1_000_000
