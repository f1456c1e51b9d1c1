"""U-Net from a few annotated images. The verbs a person runs stand here, the nouns in folders.

    train check preview predict score report   the commands, short narratives
    command                 what they share: paths, errors, a table of scores
    build                   configuration → objects, the only `instantiate`; `restore(checkpoint)`

    data/guard              what a file may claim, before it is read
    data/incomplete         names of what is being written, by which leftovers are known
    data/stack              slices between disk and array
    data/image              images of any size, read window by window
    data/folder             one's own images and labels
    data/labels             what the values of labels mean
    data/facts inspection finding   what is wrong with data
    data/split              what is learnt from and what is scored
    data/comparison         truth and prediction, of any tool, from disk
    data/known              public data sets
    data/phantom            synthetic micrographs
    data/cache              what is computed once and kept in a file
    data/weight_map         eq. 2
    data/augment            the one warp
    data/patches            the stream of training tiles
    data/datamodule         the LightningDataModule
    model/unet              figure 1
    model/loss              eq. 1 and others
    model/segmenter         the LightningModule
    metrics/rand pixel warping thinning   the scores of the ISBI-2012 challenge
    metrics/instance semantic             scores of cells and of classes
    metrics/mistakes                      where a prediction is wrong
    metrics/evaluator       scores of many images, over thresholds
    tiles/geometry          valid sizes, margins, mirrored borders
    tiles/overlap           figure 2
    tiles/blocks            planes too large for memory; components across blocks
    tiles/symmetry          averages over rotated and mirrored versions
    tiles/instances         probabilities → label image
    run/device              precision that the hardware is fast in
    run/directory           the run directory
    run/reading             its files as they were written, or refused by name
    run/provenance          the data of a run, held against those that are there now
    run/archive             a checkpoint as a file: data and nothing else, whole or refused
    run/layout              how checkpoints of earlier versions are read
    run/checkpoint          from which an interrupted run goes on as if nothing had happened
    run/signals             that ask a run to stop
    run/curves              metrics.csv
    run/ranks               one run on many devices
    run/lightning_seam      what Lightning's documentation does not promise
    run/ranking             the points of a sweep
    run/callbacks           what happens around training
    run/diagnosis           what goes wrong while a network trains
    run/page                report.html
    run/methods             what to write about a run in a paper
    run/prediction pictures the files of a prediction of held-out slices
    run/samples             pictures of what is learnt from
    run/store               a prediction of any size while it grows, and what it becomes
    run/predictor           windows of images through one network or several
    run/labelling           label images of predictions, in memory or block by block

Imports point down: tiles.geometry < data, metrics, tiles, model < model.segmenter, run < build < the
commands. Hydra lives in build and the commands, Lightning in segmenter, datamodule, run, build and train.
"""

import functools
import os
import tomllib
from pathlib import Path

# Before anything imports albumentations, which would ask the network for a newer version of itself.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


@functools.cache
def version() -> str:
    """The version of the program."""
    project = Path(__file__).parent.parent / "pyproject.toml"
    return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
