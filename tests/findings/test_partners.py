"""Labels that belong to another image, on drawings and on real data."""

import os
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from src.data.agreement import sketch
from src.findings.partners import of_another_image
from tests.data.own import draw
from tests.findings.broken import annotated, facts, look


def of(pairs):
    """Facts of images and the labels that lie beside them."""
    for number, (image, labels) in enumerate(pairs):
        grey = image.astype(np.float32) if image.ndim == 2 else image[..., :3].mean(axis=2, dtype=np.float32)
        name = f"{number:03d}"
        yield facts(0, name=name, labels_file=name, size=labels.shape, sketch=sketch(grey, labels))


def test_labels_that_are_numbered_in_another_order_are_named_with_their_image():
    order = [3, 0, 1, 4, 2]
    pairs = [(draw(number)[0], draw(other)[1]) for number, other in enumerate(order)]
    found = {each.file: each.found for each in of_another_image(list(of(pairs)))}
    assert list(found) == ["000", "001", "002", "003", "004"]
    for number in range(5):
        assert f"the labels of {order.index(number):03d} fit better" in found[f"{number:03d}"]


def test_labels_that_lie_on_their_image_moved_or_empty_are_their_own():
    own = [draw(number) for number in range(6)]
    assert not list(of_another_image(list(of(own))))
    moved = [
        (image, np.roll(labels, (6, -8), (0, 1)) if number == 2 else labels)
        for number, (image, labels) in enumerate(own)
    ]
    assert not list(of_another_image(list(of(moved))))
    empty = [(image, labels * (number != 3)) for number, (image, labels) in enumerate(own)]
    assert not list(of_another_image(list(of(empty))))
    assert not list(of_another_image([look(annotated(0))]))


def test_images_of_other_sizes_are_not_compared():
    pairs = [(draw(1)[0], draw(0)[1]), (draw(0)[0][:90], draw(1)[1][:90])]
    assert not list(of_another_image(list(of(pairs))))


@pytest.mark.parametrize("folder", ["phase_t98g", "nuclei_dsb2018", "nuclei_fluo"])
def test_no_real_labels_are_taken_for_those_of_another_image_and_those_of_a_neighbour_always_are(folder):
    root = Path(os.environ.get("DATA_DIR", "data")) / folder
    if not root.is_dir():
        pytest.skip(f"needs {root} (set DATA_DIR)")
    sizes = {}
    for file in sorted((root / "labels").iterdir())[:200]:
        image = next((root / "images").glob(f"{file.stem}.*"))
        read = tifffile.imread if image.suffix == ".tif" else iio.imread
        labels = tifffile.imread(file)
        sizes.setdefault(labels.shape, []).append((read(image), labels))
    for pairs in sizes.values():
        assert not list(of_another_image(list(of(pairs))))
        shifted = [(image, pairs[number - 1][1]) for number, (image, _) in enumerate(pairs)]
        assert len(pairs) < 3 or len(list(of_another_image(list(of(shifted))))) == len(pairs)
