"""U-Net from a few annotated images. This is the map: what stands where, floor by floor.

A module imports from its own floor and from those below it, so that imports point down; a test reads it here.

The verbs a person runs:
    train preview           before and while a network learns
    check predict score report   and what is done without
What they share:
    build                   configuration → objects, the only `instantiate`; `restore(checkpoint)`
    command                 paths, errors, a table of scores
One training run:
    run/reading             its files as they were written, or refused by name
    run/directory           the run directory
    run/provenance          the data of a run, held against those that are there now
    run/checkpoint          from which an interrupted run goes on as if nothing had happened
    run/curves              metrics.csv
    run/ranks               one run on many devices
    run/device              precision that the hardware is fast in
    run/lightning_seam      what Lightning's documentation does not promise
    run/ranking             the points of a sweep
    run/callbacks           what happens around training
    run/diagnosis           what goes wrong while a network trains
    pages/page              report.html
    pages/methods           what to write about a run in a paper
What is made of the pieces:
    model/segmenter         the LightningModule
    findings/facts inspection   what is wrong with data
    prediction/store        a prediction of any size while it grows, and what it becomes
    prediction/predictor    windows of images through one network or several
    prediction/labelling    label images of predictions, in memory or block by block
    prediction/names        the files of a prediction
    pages/pictures          results to look at
    pages/samples           pictures of what is learnt from
The pieces:
    data/stack              annotated slices, the form in which every data set reaches training
    data/folder             one's own images and labels
    data/labels             what the values of labels mean
    data/finding            one thing that is wrong
    data/split              what is learnt from and what is scored
    data/comparison         truth and prediction, of any tool, from disk
    data/public             public data sets
    data/phantom            synthetic micrographs
    data/weight_map         eq. 2
    data/augment            the one warp
    data/patches            the stream of training tiles
    data/datamodule         the LightningDataModule
    model/unet              figure 1
    model/loss              eq. 1 and others
    model/archive           a checkpoint as a file: data and nothing else, whole or refused
    model/layout            how checkpoints and choices of earlier versions are read
    metrics/rand pixel warping thinning   the scores of the ISBI-2012 challenge
    metrics/instance semantic             scores of cells and of classes
    metrics/mistakes        where a prediction is wrong
    metrics/evaluator       scores of many images, over thresholds
    tiles/overlap           figure 2
    tiles/blocks            planes too large for memory; components across blocks
    tiles/symmetry          averages over rotated and mirrored versions
The ground:
    instances               probabilities → label image
    signals                 that ask a command to stop
    tiles/geometry          valid sizes, margins, mirrored borders
    files/guard             what a file may claim, before it is read
    files/incomplete        names of what is being written, by which leftovers are known
    files/whole             files that appear complete or not at all
    files/arrays            whole images between disk and memory
    files/image             images of any size, read window by window
    files/kept              what is computed once and kept in a file

Hydra lives in: build command and the verbs
Lightning lives in: model/segmenter data/datamodule run build command train check
"""

import functools
import os
import tomllib
from pathlib import Path

# Before anything imports albumentations, which would ask the network for a newer version of itself.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


CONF = Path(__file__).parent.parent / "conf"


@functools.cache
def version() -> str:
    """The version of the program."""
    project = CONF.with_name("pyproject.toml")
    return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
