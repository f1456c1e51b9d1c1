"""A cache is a cache: whatever lies in its place, the result is the same, and one line names the file."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from src.data.phantom import phantom
from src.data.weight_map import WeightMap
from src.files import kept as cache
from tests.torture import runs

BYTES = {name: damage for name, damage in runs.BYTES.items() if name != "missing"}
MICROGRAPHS = phantom(slices=2, size=64)
GIVEN = (MICROGRAPHS.targets, MICROGRAPHS.instances, 2)


def saved(*arrays: np.ndarray) -> Callable[[Path], None]:
    return lambda file: np.savez(file, *arrays)


MAP = np.ones((64, 64), np.float32)
FOREIGN = {
    "objects": saved(np.array([{"a": 1}], object), MAP),
    "other numbers of slices": saved(MAP),
    "other shapes": saved(MAP, MAP[:32]),
    "doubles": saved(MAP.astype(float), MAP),
    "NaN": saved(MAP, MAP * np.nan),
    "compressed": lambda file: np.savez_compressed(file, MAP, MAP),
    "a bomb": lambda file: np.savez_compressed(file, *[np.zeros((4000, 4000), np.float32)] * 2),
    "one array": lambda file: (
        np.lib.format.write_array(io := BytesIO(), np.stack([MAP, MAP])) or file.write_bytes(io.getvalue())
    ),
    "a pickle": lambda file: file.write_bytes(b"cos\nsystem\n(S'touch here'\ntR."),
}


@pytest.mark.parametrize("damage", [*BYTES.values(), *FOREIGN.values()], ids=[*BYTES, *FOREIGN])
def test_a_damaged_or_foreign_weight_map_is_computed_again(damage, tmp_path, capsys):
    first = WeightMap().cached(*GIVEN, tmp_path)
    (file,) = tmp_path.iterdir()
    damage(file)
    np.testing.assert_array_equal(WeightMap().cached(*GIVEN, tmp_path), first)
    lines = capsys.readouterr().err.splitlines()
    assert lines and all(line.startswith(f"warning: {file} ") and "computed again" in line for line in lines)
    assert "unsafe" not in "".join(lines)
    if not file.is_dir():
        np.testing.assert_array_equal(WeightMap().cached(*GIVEN, tmp_path), first)
        assert capsys.readouterr().err == ""


PLACES: dict[str, Callable[[Path], object]] = {
    "a file": lambda folder: folder.write_text("not a folder"),
    "a link to nothing": lambda folder: folder.symlink_to("nowhere/at/all"),
    "in a file": lambda folder: folder.parent.joinpath("plain").write_text(""),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_cache_that_cannot_be_written_is_done_without(place, tmp_path, capsys):
    folder = tmp_path / "cache"
    place(folder)
    folder = tmp_path / "plain" / "cache" if (tmp_path / "plain").exists() else folder
    np.testing.assert_array_equal(WeightMap().cached(*GIVEN, folder), WeightMap()(*GIVEN))
    (line,) = capsys.readouterr().err.splitlines() or ["written"]
    assert line == "written" or ("cannot be written" in line and str(folder) in line)


def test_on_a_full_or_read_only_disk_a_cache_is_done_without(disk, capsys):
    tmpfs = disk(64)
    (tmpfs / "ballast").write_bytes(bytes(50_000))
    np.testing.assert_array_equal(WeightMap().cached(*GIVEN, tmpfs), WeightMap()(*GIVEN))
    assert "No space left on device" in capsys.readouterr().err
    assert os.listdir(tmpfs) == ["ballast"]
    subprocess.run(["mount", "-o", "remount,ro", tmpfs], check=True)
    np.testing.assert_array_equal(WeightMap().cached(*GIVEN, tmpfs), WeightMap()(*GIVEN))
    assert "Read-only file system" in capsys.readouterr().err


def test_what_is_no_failure_of_the_cache_comes_through(tmp_path):
    def fails():
        raise ValueError("of the data")

    with pytest.raises(ValueError, match="of the data"):
        cache.kept(tmp_path / "file", Path.read_bytes, fails, Path.write_bytes)


OTHER = {
    "of an earlier layout": lambda file: file.write_text('{"findings": []}'),
    "a list": lambda file: file.write_text("[]"),
    "of other types": lambda file: file.write_text(json.dumps(json.loads(file.read_text()) | {"slices": "3"})),
    "with half a finding": lambda file: file.write_text(
        json.dumps(json.loads(file.read_text()) | {"findings": [{"code": "a"}]})
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("mine")
    for name in ("images", "labels"):
        (place / name).mkdir()
    for number, (image, target) in enumerate(zip(MICROGRAPHS.images, MICROGRAPHS.targets, strict=True)):
        iio.imwrite(place / "images" / f"a{number}.png", image)
        iio.imwrite(place / "labels" / f"a{number}.png", target * 255)
    return place


@pytest.mark.parametrize("damages", [OTHER, pytest.param(BYTES, marks=pytest.mark.torture)], ids=["other", "damaged"])
def test_damaged_or_foreign_findings_are_looked_for_again(damages, folder, run_command, tmp_path):
    given = ("check", f"data.root={folder}", f"cache_dir={tmp_path}")
    status, first, _ = run_command(*given)
    (file,) = (tmp_path / "checks").iterdir()
    whole = file.read_bytes()
    for name, damage in damages.items():
        damage(file)
        found = run_command(*given)
        assert found[:2] == (status, first), name
        assert "Traceback" not in found[2] and f"warning: {file} " in found[2], f"{name}: {found[2]}"
        shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
        file.write_bytes(whole)
