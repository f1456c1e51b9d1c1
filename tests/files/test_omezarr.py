"""OME-Zarr: axes and sizes where multiscales say them; test_image has every kind of array."""

import numpy as np
import pytest
import zarr

from src.files.omezarr import open_zarr
from tests.files.micrographs import noise


@pytest.mark.parametrize("version", [0.4, 0.5])
def test_the_first_level_has_the_axes_and_sizes_of_multiscales(tmp_path, version):
    array = noise((2, 5, 20, 30), "u2")
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("0", data=array)
    group.create_array("1", data=array[..., ::2, ::2])
    axes = [{"name": "c", "type": "channel"}] + [{"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"]
    levels = [
        {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": [1, 500, 80, 80 * (level + 1)]}]}
        for level in range(2)
    ]
    described = [{"axes": axes, "datasets": levels, "version": str(version)}]
    group.attrs.update({"ome": {"multiscales": described}} if version == 0.5 else {"multiscales": described})
    stored = open_zarr(tmp_path / "a.zarr")
    np.testing.assert_array_equal(stored.array[...], array)
    assert stored.axes == "CZYX" and stored.pixel_size == pytest.approx({"Z": 0.5, "Y": 0.08, "X": 0.08})
