"""Public data sets: real files, damaged files, missing files, and downloads from a server on this machine."""

import hashlib
import os
import shutil
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest
import tifffile
from skimage.measure import label

from src.data.public import ISBI2012_SHAPE, cell_tracking, cells, isbi2012, isbi2012_full, obtain
from tests.data.own import cell_tracking_film, draw

# Port 9 (discard) is closed on today's machines: the connection is refused at once.
NOWHERE = "http://127.0.0.1:9/isbi.zip"
TRAIN = ["train-volume.tif", "train-labels.tif"]
ALL = [*TRAIN, "test-volume.tif", "test-labels.tif"]


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder, and the address under which a real HTTP server offers its files."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))  # seconds between checks for shutdown
        thread.start()
        yield folder, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def real_files():
    """The folder with the challenge's own training files."""
    folder = Path(os.environ.get("DATA_DIR", "data")) / "isbi2012"
    missing = [str(folder / name) for name in TRAIN if not (folder / name).is_file()]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (set DATA_DIR)")
    return folder


@pytest.fixture(scope="session")
def real_stack(real_files):
    return isbi2012(real_files.parent)


# Without photometric=minisblack, tifffile writes three or four slices as colours, and warns.
write_tiff = partial(tifffile.imwrite, photometric="minisblack")


def write_synthetic(folder: Path, shape=(4, 64, 64)) -> Path:
    """All four files; every slice has two square cells that meet at one corner, so they are not one cell."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.zeros(shape, np.uint8)
    labels[:, :20, :20] = labels[:, 20:, 20:] = 255
    for number, name in enumerate(ALL):
        write_tiff(folder / name, labels if "labels" in name else np.full(shape, number, np.uint8))
    return folder


def write_zip(file: Path, source: Path, inside: str = "") -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for path in source.iterdir():
            archive.write(path, inside + path.name)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_real_slices(real_stack):
    assert real_stack.images.shape == ISBI2012_SHAPE
    assert real_stack.images.dtype == real_stack.targets.dtype == np.uint8
    assert np.unique(real_stack.targets).tolist() == [0, 1]
    assert 0.7 < real_stack.targets.mean() < 0.85  # most of the image is cell
    assert real_stack.names[0] == "train_00" and real_stack.names[-1] == "train_29"


def test_real_instances_are_the_4_connected_cells(real_stack):
    assert real_stack.instances.dtype == np.int32
    for target, instances in zip(real_stack.targets, real_stack.instances, strict=True):
        np.testing.assert_array_equal(instances, label(target, connectivity=1))
        assert 80 < instances.max() < 150


def test_diagonal_neighbours_are_two_cells():
    picture = np.array([[[1, 1, 0], [0, 0, 1], [1, 0, 1]]], np.uint8)
    assert cells(picture).tolist() == [[[1, 1, 0], [0, 0, 2], [3, 0, 2]]]


def test_one_changed_pixel_is_noticed(real_files, tmp_path):
    folder = tmp_path / "isbi2012"
    folder.mkdir()
    for name in TRAIN:
        (folder / name).symlink_to((real_files / name).resolve())
    pixels = tifffile.imread(folder / TRAIN[0])
    pixels[7, 100, 200] ^= 1
    (folder / TRAIN[0]).unlink()
    write_tiff(folder / TRAIN[0], pixels)
    with pytest.raises(ValueError, match=r"expected pixels with SHA-256 200da3d4.*train-volume\.tif, but got .*delete"):
        isbi2012(tmp_path)


def test_other_compression_is_still_the_original(real_files, tmp_path):
    folder = tmp_path / "isbi2012"
    folder.mkdir()
    for name in TRAIN:
        write_tiff(folder / name, tifffile.imread(real_files / name))
    assert len(isbi2012(tmp_path)) == 30


def test_wrong_shape_is_refused(tmp_path):
    write_synthetic(tmp_path / "isbi2012")
    with pytest.raises(ValueError, match=r"expected pixels \(30, 512, 512\) uint8 in .*volume\.tif, but got \(4, 64"):
        isbi2012(tmp_path)


@pytest.mark.parametrize("keep", [0, 100, 30_000])
def test_truncated_file_is_named(tmp_path, keep):
    file = write_synthetic(tmp_path / "isbi2012", (30, 64, 64)) / TRAIN[0]
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"train-volume\.tif, but got .*delete"):
        isbi2012(tmp_path)


def test_test_labels_must_have_two_values(real_files, tmp_path):
    if not (real_files / "test-volume.tif").is_file():
        pytest.skip(f"needs {real_files / 'test-volume.tif'}")
    folder = tmp_path / "isbi2012"
    folder.mkdir()
    for name in ALL[:3]:
        (folder / name).symlink_to((real_files / name).resolve())
    labels = np.zeros(ISBI2012_SHAPE, np.uint8)
    labels[:, 0] = 255
    write_tiff(folder / "test-labels.tif", labels, compression="zlib")
    assert len(isbi2012_full(tmp_path)) == 60

    labels[0, 0, 0] = 128
    write_tiff(folder / "test-labels.tif", labels, compression="zlib")
    with pytest.raises(ValueError, match=r"values 0 and 255 in .*test-labels\.tif, but got 0 and 128 and 255"):
        isbi2012_full(tmp_path)


def test_full_layout_with_other_contents(tmp_path):
    write_synthetic(tmp_path / "isbi2012")
    stack = isbi2012_full(tmp_path, verify=False)
    assert stack.names == [f"{part}_{index:02d}" for part in ("train", "test") for index in range(4)]
    assert stack.images[:, 0, 0].tolist() == [0] * 4 + [2] * 4  # numbers of the files in ALL
    assert np.unique(stack.targets).tolist() == [0, 1]
    assert stack.instances.max(axis=(1, 2)).tolist() == [2] * 8


@pytest.mark.parametrize("name", ALL)
def test_unequal_shapes_are_refused(tmp_path, name):
    folder = write_synthetic(tmp_path / "isbi2012")
    write_tiff(folder / name, np.zeros((4, 32, 64), np.uint8))
    with pytest.raises(ValueError, match=r"train-volume\.tif and|test-volume\.tif and"):
        isbi2012_full(tmp_path, verify=False)


def test_training_and_test_slices_of_unequal_size_are_refused(tmp_path):
    folder = write_synthetic(tmp_path / "isbi2012")
    for name in ALL[2:]:
        write_tiff(folder / name, np.zeros((4, 32, 64), np.uint8))
    with pytest.raises(ValueError, match=r"equal size in .*isbi2012, but got \(64, 64\) and \(32, 64\)"):
        isbi2012_full(tmp_path, verify=False)


def test_missing_and_no_connection_is_explained_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    started = time.monotonic()
    with pytest.raises(FileNotFoundError) as caught:
        isbi2012(tmp_path, url=NOWHERE)
    assert time.monotonic() - started < 10
    for part in (*(str(tmp_path / "isbi2012" / name) for name in TRAIN), NOWHERE, "experiment=demo", "refused"):
        assert part in str(caught.value)
    assert "test-labels.tif" not in str(caught.value)
    assert names_in(tmp_path / "isbi2012") == []


def test_only_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (write_synthetic(tmp_path / "isbi2012") / "test-labels.tif").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        isbi2012_full(tmp_path, verify=False, url=NOWHERE)
    assert "test-labels.tif" in str(caught.value) and "train-volume.tif" not in str(caught.value)


def test_data_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "data").write_text("a file, where a directory should be")
    with pytest.raises(FileNotFoundError, match="NotADirectoryError"):
        isbi2012(tmp_path / "data", url=NOWHERE)


@pytest.mark.parametrize("inside", ["", "ISBI 2012/deep/"])
def test_download(server, tmp_path, inside):
    folder, address = server
    write_zip(folder / "isbi.zip", write_synthetic(tmp_path / "made"), inside)
    assert len(isbi2012(tmp_path, verify=False, url=f"{address}/isbi.zip")) == 4
    assert names_in(tmp_path / "isbi2012") == sorted(TRAIN)
    assert len(isbi2012_full(tmp_path, verify=False, url=f"{address}/isbi.zip")) == 8
    assert names_in(tmp_path / "isbi2012") == sorted(ALL)


def test_a_download_tells_nothing_but_its_progress(server, tmp_path, caplog):
    pooch.get_logger().addHandler(caplog.handler)
    test_download(server, tmp_path, "")
    pooch.get_logger().removeHandler(caplog.handler)
    assert caplog.messages == []


def test_download_keeps_the_files_that_are_there(server, tmp_path):
    folder, address = server
    write_zip(folder / "isbi.zip", write_synthetic(tmp_path / "made"))
    own = write_synthetic(tmp_path / "isbi2012")
    write_tiff(own / "train-volume.tif", np.full((4, 64, 64), 99, np.uint8))
    (own / "test-labels.tif").unlink()
    stack = isbi2012_full(tmp_path, verify=False, url=f"{address}/isbi.zip")
    assert stack.images[0, 0, 0] == 99


def test_downloaded_files_are_verified(server, tmp_path):
    folder, address = server
    write_zip(folder / "isbi.zip", write_synthetic(tmp_path / "made"))
    with pytest.raises(ValueError, match=r"train-volume\.tif, but got \(4, 64, 64\)"):
        isbi2012(tmp_path, url=f"{address}/isbi.zip")


def test_several_downloads_at_once_do_no_harm(server, tmp_path):
    folder, address = server
    write_zip(folder / "isbi.zip", write_synthetic(tmp_path / "made"))
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(obtain, f"{address}/isbi.zip", ALL, tmp_path / "isbi2012") for _ in range(4)]
        for job in jobs:
            job.result()
    assert names_in(tmp_path / "isbi2012") == sorted(ALL)
    assert len(isbi2012_full(tmp_path, verify=False)) == 8


def damaged(archive: bytes) -> bytes:
    """The same archive with one byte of the first file's pixels changed."""
    return archive[:5000] + bytes([archive[5000] ^ 1]) + archive[5001:]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda archive: b"<html>moved</html>", "BadZipFile"),
        (lambda archive: archive[: len(archive) // 2], "BadZipFile"),
        (damaged, "BadZipFile: Bad CRC-32"),
    ],
    ids=["no zip", "half a zip", "one byte changed"],
)
def test_broken_archive_leaves_nothing(server, tmp_path, spoil, reason):
    folder, address = server
    write_zip(folder / "isbi.zip", write_synthetic(tmp_path / "made"))
    (folder / "isbi.zip").write_bytes(spoil((folder / "isbi.zip").read_bytes()))
    with pytest.raises(FileNotFoundError, match=reason):
        isbi2012_full(tmp_path, verify=False, url=f"{address}/isbi.zip")
    assert names_in(tmp_path / "isbi2012") == []


def test_archive_without_the_file(server, tmp_path):
    folder, address = server
    made = write_synthetic(tmp_path / "made")
    (made / "test-labels.tif").unlink()
    write_zip(folder / "isbi.zip", made)
    with pytest.raises(FileNotFoundError, match=r"expected test-labels\.tif in the archive"):
        isbi2012_full(tmp_path, verify=False, url=f"{address}/isbi.zip")
    assert names_in(tmp_path / "isbi2012") == []


def test_address_without_the_archive(server, tmp_path):
    with pytest.raises(FileNotFoundError, match="404"):
        isbi2012(tmp_path, url=f"{server[1]}/nothing.zip")


def tracking_archive(folder, made):
    """An archive of a small data set in the layout of the Cell Tracking Challenge: → its SHA-256."""
    for film in ("01", "02"):
        cell_tracking_film(made / "PhC-C2DH-U373", film, 2)
    shutil.make_archive(str(folder / "PhC-C2DH-U373"), "zip", made, "PhC-C2DH-U373")
    return hashlib.sha256((folder / "PhC-C2DH-U373.zip").read_bytes()).hexdigest()


def test_a_data_set_of_the_cell_tracking_challenge_is_downloaded_once(server, tmp_path):
    folder, address = server
    sha256 = tracking_archive(folder, tmp_path / "made")
    for _ in range(2):
        stack = cell_tracking(tmp_path / "data", "PhC-C2DH-U373", server=address, sha256=sha256)
        assert stack.names == ["01_t000", "01_t003", "02_t000", "02_t003"]
        np.testing.assert_array_equal(stack.instances[1], draw(3)[1])
        assert names_in(tmp_path / "data") == ["PhC-C2DH-U373"]
        (folder / "PhC-C2DH-U373.zip").unlink(missing_ok=True)


def test_another_archive_than_the_challenge_published_is_refused(server, tmp_path):
    folder, address = server
    tracking_archive(folder, tmp_path / "made")
    with pytest.raises(ValueError, match="expected SHA-256 b18185"):
        cell_tracking(tmp_path / "data", "PhC-C2DH-U373", server=address)
    assert names_in(tmp_path / "data") == []


def test_a_data_set_that_cannot_be_downloaded_is_explained(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Download http://127.0.0.1:9/DIC-C2DH-HeLa.zip by hand and unpack"):
        cell_tracking(tmp_path / "data", "DIC-C2DH-HeLa", server="http://127.0.0.1:9")
    with pytest.raises(ValueError, match="expected one of PhC-C2DH-U373, DIC-C2DH-HeLa, but got Fluo"):
        cell_tracking(tmp_path / "data", "Fluo")
