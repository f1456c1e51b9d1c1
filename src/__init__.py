"""U-Net from a few annotated images. This is the map: what stands where, floor by floor.

A module imports from its own floor and from those below it, so that imports point down; a test reads it here.

The verbs a person runs:
    train preview           before and while a network learns
    crossval                each image scored by a network that has not seen it
    check predict score report export   and what is done without
What they share:
    running                 a run that is to be finished, or all points of a sweep
    out_of_fold             what the folds of a cross-validation have predicted, pooled
    untouched               the mean of its networks, on images that no fold has seen
    folding                 a fold, as a run whose split is said in numbers
    ensemble                several networks, and what decodes their mean
    training                one training run: what it is made of, and how it goes
    planning                its numbers, refused or counted
    starting                the weights that it begins with
    checking                data held against what is to be learnt from them
    mending                 a repaired copy of a folder, and the list of what it changes
    repairs                 one image and its labels in it
    fitting                 what follows from sizes, split and memory
    memory                  what training takes, and what the machine has
    predicting              images one after another, and small ones together
    scoring                 predictions of any tool, added up
    micrographs             the images that belong to them, by name
    exporting               a network that leaves, and the image that it is held against src.predict on
    values                  what the numbers of truth and prediction mean
    results                 a finished run or sweep, shown
    restore                 from a checkpoint to a trained network
    refused                 what Hydra refuses, in words of ours
    helping                 what --help shows
    command                 composed once, ended with one message, stopped by a signal
    arguments               what stands on the command line
    terminal                tables of scores
    build                   configuration → objects, the only `instantiate`
One training run:
    run/directory           what lies where, whether it is finished, whether it is the same run
    run/layouts             what is read from its files
    run/provenance          its data and choices, held against those of now
    run/checkpoint          from which an interrupted run goes on as if nothing had happened
    run/schedule            ends training where the learning rate has come to its end
    run/curves rows         metrics.csv, written and read
    run/tracking            the same in MLflow
    run/ranks               one run on many devices
    run/device              precision that the hardware is fast in
    run/lightning_seam      what Lightning's documentation does not promise
    run/ranking             the points of a sweep
    run/choice              how cells are numbered, chosen at the end
    run/progress            how far it is
    run/callbacks           what happens around training
    run/diagnosis           what goes wrong while a network trains
    run/report              report.html of its files
    run/comparing           runs held against each other, image by image
    run/folds               the directory of a cross-validation
What is made of the pieces:
    model/segmenter         the LightningModule
    findings/facts          what annotated images hold
    findings/images labels partners split   what is wrong with them
    findings/meanings       how labels were taken
    findings/inspection     all of it
    findings/summary        as plain values and lines
    prediction/job          one image, from its file to what was asked for
    prediction/predictor    windows of images through one network or several
    prediction/progress     how far it is
    prediction/rescaling    an image at the pixel size of the training images, and back
    prediction/outlook      which images are unlike the training images
    prediction/store        a prediction of any size while it grows
    prediction/labelling    label images of predictions, in memory or block by block
    prediction/calibrating  calibrated probabilities beside labels
    prediction/tiff         the one writer of predictions
    prediction/names        their files, and the images that they are of
    prediction/outputs/cells     the cells of a label image of any size, each once and whole
    prediction/outputs/rings     their outlines on the edges of pixels
    prediction/outputs/table giants   what is measured of them
    prediction/outputs/rois      outlines for ImageJ and Fiji
    prediction/outputs/geojson   and for QuPath
    prediction/outputs/overlay   a picture of them
    prediction/outputs/summary   the tables of all images as one, and their page
    exports/network         a trained network as other programs compute it, in one file that leaves with it
    exports/described       what it says of itself
    exports/rdf             and to readers of bioimage.io
    exports/as_onnx as_torch as_bioimageio   it in files of each format, and as their runtimes compute it
    exports/compared        held against src.predict
    pages/page              what any page is filled with
    pages/verdict           what scores say, and what to do next
    pages/glossary          what each score means
    pages/methods           what to write about a run in a paper
    pages/pictures          results to look at
    pages/reliability       how often what was predicted came true
    pages/samples           what is learnt from, to look at
    pages/cells             the cells of many images, and the images that stand out
The pieces:
    data/stack              annotated slices, the form in which every data set reaches training
    data/folder             one's own images and labels, as they are learnt from
    data/annotated          slices with their labels, read from files
    data/two_values         slices with masks of two values that were smoothed
    data/matching           which labels belong to which image
    data/candidates         which of several folders holds the labels
    data/mixed              images in a folder in which their labels lie too
    data/pairing            images and labels by their names
    data/patterns           names of images and labels
    data/label_files        the labels in a folder, by the names of their images
    data/listing            the files of a folder
    data/places             folders of images and of labels, told by their names
    data/agreement          how well labels lie on an image
    data/sources            labels on disk, in whatever files they are
    data/numbers            label files, as the numbers that were drawn
    data/shapes rois outlines   labels that were drawn as shapes
    data/colours            one table of colours for all label files
    data/nnunet             what dataset.json says of labels
    data/description        what a label image holds
    data/kinds              what the values of labels mean
    data/labels             from label images to what is to be learnt
    data/finding            one thing that is wrong
    data/split              what is learnt from and what is scored
    data/folds              and of a cross-validation, fold by fold
    data/appearance         what an image looks like to a network, and how it differs from the training images
    data/likeness           near copies, and neighbours of one series
    data/comparison         truth and prediction, of any tool, from disk
    data/annotators         and of two people, by patterns of names
    data/grain              grey levels, or numbers of labels
    data/public             public data sets
    data/phantom            synthetic micrographs
    data/targets            from cells to the classes that a network learns
    data/weight_map         eq. 2
    data/augment            the one warp
    data/patches            the stream of training tiles
    data/datamodule         the LightningDataModule
    model/unet              figure 1
    model/engine            how a trained network is computed when it predicts
    model/loss              eq. 1 and others
    model/transfer          weights of one network for another one
    model/schedule          a learning rate that need not know how long training takes
    model/trained           a network with what belongs to its predictions
    model/archive           a checkpoint as a file: data and nothing else, whole or refused
    model/layout            how checkpoints and choices of earlier versions are read
    metrics/rand pixel warping thinning   the scores of the ISBI-2012 challenge
    metrics/instance semantic             scores of cells and of classes
    metrics/bootstrap       how sure a score is
    metrics/goodness        whether more of a score is better
    metrics/mistakes        where a prediction is wrong
    metrics/evaluator       scores of many images, over thresholds
    metrics/pooled          and over processes
    metrics/calibration     probabilities that mean what they say
    metrics/comparing       whether one of two runs is better
    metrics/confidence      how sure one may be of a single cell
    metrics/reliability     how far they can be believed
    metrics/choosing        ways of numbering cells, held against each other
    tiles/overlap           figure 2
    tiles/blocks            planes too large for memory; components across blocks
    tiles/symmetry          averages over rotated and mirrored versions
The ground:
    instances               probabilities → label image; connected components
    tidying                 cells without holes and scraps
    flooding                the summits of a landscape
    saying                  lines that fit, for a person, and what still goes on
    signals                 that ask a command to stop
    tiles/geometry          valid sizes, margins, mirrored borders
    files/limits guard      what a file may claim, before it is read
    files/incomplete        names of what is being written, by which leftovers are known
    files/whole             files that appear complete or not at all
    files/reading           JSON and YAML as they were written, or refused by name
    files/legend            what the numbers of classes mean
    files/names             which endings are read, and names without them
    files/arrays            arrays, strip by strip
    files/stored            what a file says of its pixels
    files/units             micrometres
    files/tiffs pictures omezarr microscopes   files of each kind, opened
    files/image             images of any size, as people see them, read window by window
    files/channels          in one file or in a file each, all or some
    files/resampled         images on another grid, resampled window by window
    files/grey              from grey values to [0, 1]
    files/kept              what is computed once and kept in a file

Hydra lives in: build command arguments checking refused folding running and the verbs
Lightning lives in: model/segmenter data/datamodule run training
"""

import functools
import os
import tomllib
from pathlib import Path

# Before anything imports albumentations, which would ask the network for a newer version of itself.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# Before anything imports torch, which would else fail where Apple's GPU lacks an operation that the CPU has.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


CONF = Path(__file__).parent.parent / "conf"


@functools.cache
def version() -> str:
    """The version of the program."""
    project = CONF.with_name("pyproject.toml")
    return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
