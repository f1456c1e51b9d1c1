"""StarDist on the images of ``experiment=nuclei``: trained for so many CPU-seconds, its label images written as TIFF.

It needs an environment of its own, because TensorFlow and PyTorch pin other versions of what they share:

    python -m venv runs/stardist && runs/stardist/bin/pip install tensorflow-cpu stardist pyyaml
    runs/stardist/bin/python tests/benchmarks/peers/train_stardist.py DATA OUTPUT [seconds] [seed]
    python -m src.score truth=OUTPUT/truth prediction=OUTPUT/labels metrics=instances output=OUTPUT/scores.json

DATA is the folder with ``images`` and ``labels``; the split is that of ``conf/data/nuclei.yaml``. All choices are
those of StarDist's own example for two dimensions (32 rays, grid 2, flips and intensities as augmentation, thresholds
optimised on the validation images), but for the number of epochs, which the budget gives.
"""

import sys
import time
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import tensorflow as tf
import yaml
from csbdeep.utils import normalize
from stardist.models import Config2D, StarDist2D
from tifffile import imread, imwrite

SPLIT = Path(__file__).parents[3] / "conf" / "data" / "nuclei.yaml"


class Budget(tf.keras.callbacks.Callback):
    """End training when the process has used its CPU-seconds."""

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds, self.began = seconds, time.process_time()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if time.process_time() - self.began > self.seconds:
            self.model.stop_training = True


def augment(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turned, mirrored, brighter or darker, with noise: as in StarDist's example."""
    for axis in (0, 1):
        if np.random.rand() < 0.5:
            image, labels = np.flip(image, axis), np.flip(labels, axis)
    turns = np.random.randint(4)
    image, labels = np.rot90(image, turns), np.rot90(labels, turns)
    image = image * np.random.uniform(0.6, 2) + np.random.uniform(-0.2, 0.2)
    return image + 0.02 * np.random.uniform(0, 1) * np.random.normal(size=image.shape), labels


def read(data: Path, names: str) -> tuple[list[str], list[np.ndarray], list[np.ndarray]]:
    """Names, scaled images and labels of a part of the split."""
    patterns = [each.strip() for each in names.split(",")]
    files = [file for file in sorted((data / "images").iterdir()) if any(fnmatch(file.stem, each) for each in patterns)]
    images = [tf.io.decode_image(file.read_bytes(), channels=1).numpy()[..., 0] for file in files]
    labels = [imread(data / "labels" / f"{file.stem}.tif").astype(np.int32) for file in files]
    return [file.stem for file in files], [normalize(image, 1, 99.8) for image in images], labels


def main(data: str, output: str, seconds: str = "4000", seed: str = "0") -> None:
    np.random.seed(int(seed))
    tf.random.set_seed(int(seed))
    split = yaml.safe_load(SPLIT.read_text(encoding="utf-8"))
    (_, *train), (_, *validation), (names, images, truth) = (
        read(Path(data), split[part]) for part in ("train", "validation", "held_out")
    )
    config = Config2D(n_rays=32, grid=(2, 2), n_channel_in=1, train_patch_size=(256, 256), train_tensorboard=False)
    model = StarDist2D(config, name="stardist", basedir=output)
    model.prepare_for_training()
    model.callbacks.append(Budget(float(seconds)))
    began = time.process_time()
    model.train(*train, validation_data=tuple(validation), augmenter=augment, seed=int(seed), epochs=10_000)
    print(f"trained for {time.process_time() - began:.0f} CPU-seconds", flush=True)
    model.optimize_thresholds(*validation)
    for folder in ("labels", "truth"):
        (Path(output) / folder).mkdir(parents=True, exist_ok=True)
    for name, image, labels in zip(names, images, truth, strict=True):
        imwrite(Path(output) / "labels" / f"{name}.tif", model.predict_instances(image)[0].astype(np.int32))
        imwrite(Path(output) / "truth" / f"{name}.tif", labels)


if __name__ == "__main__":
    main(*sys.argv[1:])
