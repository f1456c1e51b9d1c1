"""One training sample: a 512² slice becomes a 572 image, a 388 target and 388 weights, ours against peers.

Shift, rotation, mirroring, elastic deformation (3×3 nodes, σ 10 px) and the mirrored border. albumentations has no
3×3 grid: its ElasticTransform bends with a smoothed field of the same size. nnU-Net's SpatialTransform does not
mirror, and interpolates bilinearly. ``make bench``, or ``python -m tests.benchmarks.augment [repeats]``.
"""

import sys
from functools import partial

import albumentations as A
import cv2
import numpy as np
import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

from src.data.augment import Warp
from tests.benchmarks.timing import interleaved, report

SAMPLES = 50


def many(make) -> None:
    for _ in range(SAMPLES):
        make()


def main(repeats: int = 5) -> None:
    torch.set_num_threads(1)  # as in a loader worker
    random = np.random.default_rng(0)
    image = random.random((512, 512), np.float32)
    mask, weight = (image > 0.5).astype(np.uint8), random.random((512, 512), np.float32)
    inner, cubic, mirrored = slice(92, 480), cv2.INTER_CUBIC, cv2.BORDER_REFLECT_101

    warp = A.Compose([Warp(572)])
    steps = A.Compose(
        [
            A.PadIfNeeded(696, 696, border_mode=mirrored),
            A.ElasticTransform(alpha=100, sigma=10, interpolation=cubic, border_mode=mirrored, p=1),
            A.ShiftScaleRotate(0.3, 0, 180, interpolation=cubic, border_mode=mirrored, p=1),
            A.HorizontalFlip(p=0.5),
            A.RandomCrop(572, 572),
        ],
        additional_targets={"weight": "image"},
    )  # fmt: skip
    spatial = SpatialTransform(
        (572, 572), 0, random_crop=True, p_elastic_deform=1, elastic_deform_scale=0.3, elastic_deform_magnitude=0.03,
        p_rotation=1, padding_mode_image="reflection", mode_seg="nearest", border_mode_seg="reflection",
    )  # fmt: skip
    tensors = {"image": torch.from_numpy(np.stack([image, weight])), "segmentation": torch.from_numpy(mask[None])}

    def stepwise():
        made = steps(image=image, mask=mask, weight=weight)
        return made["image"], made["mask"][inner, inner], made["weight"][inner, inner]

    jobs = {
        "ours: one warp": lambda: warp(image=image, mask=mask, weight=weight, context=92),
        "albumentations: pad, elastic, shift and rotate, crop": stepwise,
        "batchgeneratorsv2: SpatialTransform (nnU-Net)": lambda: spatial(**tensors),
    }
    seconds = interleaved({name: partial(many, job) for name, job in jobs.items()}, repeats)
    report("augment: 572 px image, 388 px target and weights, one core", seconds, SAMPLES, "samples")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
