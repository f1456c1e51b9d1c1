"""ImageJ itself opens the label images and ROI sets of `src.predict`; `make test-programs` installs it."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from src.prediction.outputs import rois
from src.prediction.tiff import write_tiff
from tests.prediction.outputs.drawn import HARD, blobs, cells_of

pytestmark = pytest.mark.programs

MACRO = Path(__file__).with_name("rois.ijm")
IMAGEJ = Path("/usr/share/java/ij.jar")  # of Debian's package imagej


@pytest.fixture
def imagej(tmp_path):
    """Run the macro on files: → its lines."""

    def call(*files):
        if not (IMAGEJ.exists() and shutil.which("xvfb-run")):
            pytest.fail("expected the packages imagej and xvfb, but they are missing; make test-programs installs them")
        java = ["java", "-jar", str(IMAGEJ), "-ijpath", str(tmp_path), "-batch", str(MACRO), ",".join(map(str, files))]
        ran = subprocess.run(["xvfb-run", "-a", *java], capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.splitlines()

    return call


@pytest.mark.parametrize(
    "labels", [HARD, blobs(), np.stack([HARD, np.zeros_like(HARD), HARD[::-1]])], ids=["hard", "blobs", "stack"]
)
def test_each_roi_holds_the_pixels_of_its_cell_and_no_others(labels, imagej, tmp_path):
    planes = labels.reshape(-1, *labels.shape[-2:])
    write_tiff(tmp_path / "a_labels.tif", planes, labels.shape, labels.dtype, "ZYX"[-labels.ndim :])
    rois.write(tmp_path / "a_rois.zip", cells_of(labels), "src.predict rois 0")
    size, *found = imagej(tmp_path / "a_labels.tif", tmp_path / "a_rois.zip")
    assert size == f"{labels.shape[-1]} {labels.shape[-2]} {len(planes)} 32"
    expected = []
    for place, plane in enumerate(planes, start=1):
        for number, area in zip(*np.unique(plane[plane > 0], return_counts=True), strict=True):
            name = f"{place}-{number}" if labels.ndim == 3 else str(number)
            expected.append(f"{name} {place} {area} {number} {number}")
    assert sorted(found) == sorted(expected)
