"""A trained network as a package of bioimage.io: weights in three formats, examples, and a description of all that."""

import io
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile
import torch
import yaml
from imageio.v3 import imwrite

from src.exports import as_onnx, as_torch
from src.exports import network as source
from src.exports.compared import Example, example
from src.exports.described import Leaving, smallest_side
from src.exports.rdf import WEIGHTS, Named, description, readme
from src.files.image import Image
from src.tiles.overlap import mirrored_range

DESCRIPTION = "rdf.yaml"
LARGEST = 512  # pixels of an example along an axis
COVER = 400  # pixels of its part on the cover, of which even noise takes less than the 500 KB that are allowed


def fitting(leaving: Leaving, whole: Example) -> Example:
    """The part of an example that a package holds, scaled as its readers do it; mirrored where it is too small."""
    grid, smallest = 2**leaving.trained.model.depth, smallest_side(leaving.trained.model.depth)
    before = whole.grey.shape[1:]
    rows, columns = (mirrored_range(side, 0, max(min(side, LARGEST) // grid * grid, smallest)) for side in before)
    grey = np.ascontiguousarray(whole.grey[:, rows][:, :, columns])
    return example(leaving, Image(Path(whole.name), grey, "CYX", scaling="percentiles"), whole.name)


def scaled_otherwise(leaving: Leaving, shown: Example) -> float:
    """By how much a probability differs at most where `src.predict` scales the grey values of an example otherwise."""
    if leaving.grey_range:
        return 0.0
    image = Image(Path(shown.name), shown.grey, "CYX", scaling=leaving.trained.reading.scaling)
    return float(np.abs(example(leaving, image, shown.name).expected - shown.expected).max())


def write(leaving: Leaving, named: Named, shown: Example, file: Path) -> None:
    """Write a package, a ZIP file.

    Args:
        leaving: the network, one that mirrors the image at its borders.
        named: what a person says of it.
        shown: of `fitting`.
        file: of the package.
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
    """The image and beside it the probability of not being background, ``(side, 2 · side)`` uint8."""
    side = min(COVER, *shown.scaled.shape[1:])
    found = np.concatenate([shown.scaled.mean(axis=0)[:side, :side], 1 - shown.expected[0, :side, :side]], axis=1)
    return np.round(255 * found).astype(np.uint8)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the library logs, warns of and shows while it works: what is wrong becomes one message."""
    from loguru import logger

    logger.disable("bioimageio")
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.enable("bioimageio")


def differences(file: Path, shown: Example) -> dict[str, float]:
    """Let bioimageio.core test a package and compute it: → by how much a probability differs at most, of all weights.

    Of what is computed tile by tile only the pixels count that lie farther from the border of the image than the halo:
    nearer, versions of the library mirror in different ways.

    Args:
        file: of the package.
        shown: what it holds.

    Raises:
        ValueError: it does not pass the library's own test; says why.
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
        found = {weights: _predicted(model, weights, shown) - shown.expected for weights in WEIGHTS}
        axis, left_out = model.inputs[0].axes[2], model.outputs[0].axes[2].halo
        if steps := tile_steps(axis.size.step, left_out, min(shown.grey.shape[1:])):
            tiled = _predicted(model, "onnx", shown, steps) - shown.expected
            found[f"onnx, tile by tile, {left_out} px and more from the border"] = tiled[
                :, left_out:-left_out, left_out:-left_out
            ]
    return {weights: float(np.abs(each).max()) for weights, each in found.items()}


def tile_steps(step: int, left_out: int, side: int) -> int:
    """By how many steps tiles are larger than the smallest, so that a few of them cover an image.

    Args:
        step: of the sides of tiles, in pixels, which is also what the smallest one keeps.
        left_out: pixels at each border of a tile.
        side: of the image, in pixels.

    Returns:
        0 if the image is too small for it.
    """
    kept = min(side // 2, side - 2 * left_out) // step
    return kept - 1 if kept * step >= side / 4 else 0


def _predicted(model, weights: str, shown: Example, steps: int | None = None) -> np.ndarray:
    from bioimageio.core import create_prediction_pipeline
    from bioimageio.core.digest_spec import create_sample_for_model

    pipeline = create_prediction_pipeline(model, weight_format=weights, devices=["cpu"])
    sample = create_sample_for_model(model, inputs={"raw": shown.grey[None]})
    if steps is None:
        found = pipeline.predict_sample_without_blocking(sample, skip_input_padding=True, skip_output_cropping=True)
    else:
        found = pipeline.predict_sample_with_blocking(sample, ns=steps)
    return np.asarray(found.members["probabilities"].data)[0]
