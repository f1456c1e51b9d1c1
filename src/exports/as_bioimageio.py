"""Export of a trained network as a bioimage.io package: weights in three formats, an example, and a description."""

import io
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import tifffile
import torch
import yaml
from imageio.v3 import imwrite

from src.exports import as_onnx, as_torch
from src.exports import network as source
from src.exports.compared import Example, example
from src.exports.described import Leaving, halo, smallest_side
from src.exports.rdf import WEIGHTS, Format, Named, description, readme
from src.files.image import Image
from src.tiles.overlap import mirrored_range

if TYPE_CHECKING:
    from bioimageio.spec.model import AnyModelDescr

DESCRIPTION = "rdf.yaml"
LARGEST = 512  # pixels of the example along an axis
COVER = 400  # pixels of the example's side on the cover; even noise then stays below the allowed 500 KB


def fitting(leaving: Leaving, whole: Example) -> Example:
    """Return the example to store in a package: an image that is cropped, or extended by mirroring, to a valid size.

    Unless the export has a fixed grey range, grey values are scaled as programs that read packages do.
    """
    grid, smallest = 2**leaving.trained.model.depth, smallest_side(leaving.trained.model.depth)
    before = whole.grey.shape[1:]
    rows, columns = (mirrored_range(side, 0, max(min(side, LARGEST) // grid * grid, smallest)) for side in before)
    grey = np.ascontiguousarray(whole.grey[:, rows][:, :, columns])
    return example(leaving, Image(Path(whole.name), grey, "CYX", scaling="percentiles"), whole.name)


def scaled_otherwise(leaving: Leaving, shown: Example) -> float:
    """Return how much probabilities differ if grey values are scaled by `src.predict` or by readers of a package.

    The result is the largest difference on the example ``shown``, and 0 if the export has a fixed grey range.
    """
    if leaving.grey_range:
        return 0.0
    image = Image(Path(shown.name), shown.grey, "CYX", scaling=leaving.trained.reading.scaling)
    return float(np.abs(example(leaving, image, shown.name).expected - shown.expected).max())


def write(leaving: Leaving, named: Named, shown: Example, file: Path) -> None:
    """Write a bioimage.io package, a ZIP file.

    Args:
        leaving: the exported network, which must mirror the image at its borders.
        named: the name, authors and licence that the user stated.
        shown: the example to store, as `fitting` returns it.
        file: path of the package.
    """
    folder = file.with_suffix(".folder")
    folder.mkdir()
    torch.save(leaving.weights(), folder / WEIGHTS["pytorch_state_dict"])
    as_torch.save_script(leaving, folder / WEIGHTS["torchscript"])
    as_onnx.save(as_onnx.onnx_model(leaving), folder / WEIGHTS["onnx"])
    shutil.copyfile(source.__file__, folder / "network.py")
    for name, values in (("input", shown.grey), ("output", shown.expected)):
        np.save(folder / f"test_{name}.npy", values[None])
        tifffile.imwrite(folder / f"sample_{name}.tif", values.squeeze(), photometric="minisblack")
    imwrite(folder / "cover.png", cover(shown))
    (folder / "README.md").write_text(readme(leaving, named), encoding="utf-8")
    described = description(leaving, named, folder)
    (folder / DESCRIPTION).write_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True), encoding="utf-8")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for each in sorted(folder.iterdir()):
            package.write(each, each.name)
    shutil.rmtree(folder)


def cover(shown: Example) -> np.ndarray:
    """Return the cover: the image and, to its right, its probability of foreground, ``(side, 2 · side)`` uint8."""
    side = min(COVER, *shown.scaled.shape[1:])
    found = np.concatenate([shown.scaled.mean(axis=0)[:side, :side], 1 - shown.expected[0, :side, :side]], axis=1)
    return np.round(255 * found).astype(np.uint8)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the logs, warnings and progress bars of bioimageio.core; errors are still raised."""
    from loguru import logger

    logger.disable("bioimageio")
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.enable("bioimageio")


def differences(file: Path, shown: Example, depth: int) -> dict[str, float]:
    """Test a package with bioimageio.core, and compare its predictions with those of `src.predict`.

    Tile-by-tile prediction is compared only at pixels farther from the border of the image than the halo, because
    versions of bioimageio.core mirror the border in different ways.

    Args:
        file: path of the package.
        shown: the example in the package.
        depth: number of poolings of the network.

    Returns:
        The largest difference in probability for each format of the weights and, if the image is large enough, for
        tile-by-tile prediction.

    Raises:
        ValueError: the package fails the test of bioimageio.core; states the reason.
    """
    with TemporaryDirectory(dir=file.parent) as folder, _quiet():
        with zipfile.ZipFile(file) as package:
            package.extractall(folder)
        from bioimageio.core import load_model_description, test_description

        summary = test_description(Path(folder, DESCRIPTION), devices=["cpu"])
        if summary.status != "passed":
            wrong = [f"{error.loc}: {error.msg}" for detail in summary.details for error in detail.errors]
            raise ValueError(f"expected a package that passes the test of bioimageio.core, but got {'; '.join(wrong)}")
        model = load_model_description(Path(folder, DESCRIPTION))
        found: dict[str, np.ndarray] = {
            weights: _predicted(model, weights, shown) - shown.expected for weights in WEIGHTS
        }
        left_out = halo(depth)
        if steps := tile_steps(2**depth, left_out, min(shown.grey.shape[1:])):
            tiled = _predicted(model, "onnx", shown, steps) - shown.expected
            found[f"onnx, tile by tile, {left_out} px and more from the border"] = tiled[
                :, left_out:-left_out, left_out:-left_out
            ]
    return {weights: float(np.abs(each).max()) for weights, each in found.items()}


def tile_steps(step: int, left_out: int, side: int) -> int:
    """Return by how many steps to enlarge the smallest tile, so that a few tiles cover an image.

    Args:
        step: increment of the side of a tile in pixels; also the side of the part that the smallest tile keeps.
        left_out: pixels that are discarded at each border of a tile.
        side: shorter side of the image in pixels.

    Returns:
        The number of steps; 0 if the image should not be tiled, because it is too small.
    """
    kept = min(side // 2, side - 2 * left_out) // step
    return kept - 1 if kept * step >= side / 4 else 0


def _predicted(model: "AnyModelDescr", weights: Format, shown: Example, steps: int | None = None) -> np.ndarray:
    from bioimageio.core import create_prediction_pipeline
    from bioimageio.core.digest_spec import create_sample_for_model

    pipeline = create_prediction_pipeline(model, weight_format=weights, devices=["cpu"])
    sample = create_sample_for_model(model, inputs={"raw": shown.grey[None]})
    if steps is None:
        found = pipeline.predict_sample_without_blocking(sample, skip_input_padding=True, skip_output_cropping=True)
    else:
        found = pipeline.predict_sample_with_blocking(sample, ns=steps)
    (probabilities,) = found.members.values()
    first: np.ndarray = probabilities.to_numpy()[0]
    return first
