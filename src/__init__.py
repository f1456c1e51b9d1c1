"""U-Net from a few annotated images. This is the map of the modules, floor by floor.

A module imports only from its own floor and the floors below it; a test reads the floors from here.

The commands:
    train preview           train a network; look at its tiles before
    crossval                score each image with a network that has not seen it
    check predict score report export   work before and after training
What the commands share:
    running                 complete one run, or all runs of a sweep
    out_of_fold             pooled out-of-fold predictions of a cross-validation
    untouched               the ensemble's predictions of images that are in no fold
    folding                 one fold as a run with its own split
    ensemble                several networks and the decoder of their mean
    estimating              estimated scores of images without annotation
    training                one training run, from its parts to its scores
    planning                numbers of steps and intervals, refused or computed
    starting                pretrained weights
    checking                data checked against the settings of a run
    mending                 a repaired copy of a folder, with the list of changes
    repairs                 the repair of one image and its labels
    fitting                 settings that follow from image sizes, split and memory
    memory                  memory that training takes, and that the machine has
    predicting              many images in turn, small ones in batches
    scoring                 scores of predictions of any program
    micrographs             the micrographs that belong to label images, by name
    exporting               an exported network, compared with src.predict
    values                  meaning of the numbers in truth and prediction
    results                 the results of a finished run or sweep
    restore                 a trained network from its checkpoint
    refused                 Hydra's errors in our words
    helping                 the text of --help
    command                 a command: composed once, one message per error, stopped by signals
    arguments               arguments of the command line
    terminal                score tables
    build                   objects from a configuration; the only `instantiate`
One training run:
    run/directory           files of a run directory; whether the run is finished, or another one
    run/layouts             types of those files' contents
    run/provenance          data and settings of a run, compared with the current ones
    run/checkpoint          checkpoints from which an interrupted run continues bit for bit
    run/schedule            end of training when the learning rate schedule has ended
    run/curves rows         metrics.csv, written and read
    run/tracking            the same in MLflow
    run/ranks               one run in many processes
    run/device              accelerator, and the precision in which it is fast
    run/lightning_seam      use of Lightning's undocumented behaviour
    run/ranking             ranking of the runs of a sweep
    run/choice              choice of the decoder at the end of training
    run/progress            progress lines and bar
    run/callbacks           pictures and scores written during training
    run/diagnosis           warnings about the course of training
    run/report              report.html of a run
    run/comparing           comparison of runs, image by image
    run/folds               the directory of a cross-validation
    run/estimates           out-of-fold scores from which others are estimated, and the coverage
Assemblies of the pieces:
    model/segmenter         the LightningModule
    findings/facts          facts about annotated images
    findings/images labels partners split   findings about them
    findings/meanings       findings about the meaning of labels
    findings/inspection     all findings
    findings/summary        findings as plain values and lines
    prediction/job          one image, from its file to its results
    prediction/predictor    windows of images through one network or several
    prediction/estimates    the table of estimated scores
    prediction/progress     progress of a prediction
    prediction/rescaling    images at the training pixel size, and back
    prediction/outlook      images that are unlike the training images
    prediction/store        a growing prediction of any size on disk
    prediction/labelling    label images from probabilities, in memory or block by block
    prediction/calibrating  calibrated probabilities beside unchanged labels
    prediction/tiff         the one writer of predictions
    prediction/names        names of predicted files, and of the images they belong to
    prediction/outputs/cells     the cells of a label image of any size, each once and whole
    prediction/outputs/rings     outlines along pixel edges
    prediction/outputs/table giants   measurements per cell
    prediction/outputs/rois      outlines for ImageJ and Fiji
    prediction/outputs/geojson   outlines for QuPath
    prediction/outputs/overlay   coloured overlay
    prediction/outputs/summary   one table and one page for all images
    exports/network         the network as an exported module with scaling and soft-max
    exports/described       its description
    exports/rdf             its description for bioimage.io
    exports/as_onnx as_torch as_bioimageio   files of each format, and their runtimes
    exports/compared        differences from src.predict
    pages/page              template and data of any page
    pages/verdict           verdict and advice
    pages/glossary          meaning and scale of each score
    pages/methods           the methods paragraph
    pages/pictures          pictures of results
    pages/reliability       reliability diagram
    pages/estimates         estimated scores against true ones
    pages/samples           pictures of training samples
    pages/cells             page of the cells of many images
The pieces:
    data/stack              annotated images in memory, the form in which all data reach training
    data/folder             a folder of images and labels as such a stack
    data/annotated          one image with its labels, read from files
    data/two_values         smoothed masks of two values
    data/matching           labels that belong to each image
    data/candidates         the folder of labels among several
    data/mixed              images and labels in one folder
    data/pairing            pairs of images and labels by name
    data/patterns           patterns of names
    data/label_files        label files of each image
    data/listing            files of a folder
    data/places             folders of images and labels, recognised by name
    data/agreement          agreement of labels and image
    data/sources            labels from any kind of file
    data/numbers            label images as numbers
    data/shapes rois outlines   labels from drawn shapes
    data/colours            one table of colours for all label files
    data/nnunet             dataset.json of nnU-Net
    data/description        description of a label image
    data/kinds              kind of labels: instances, binary, boundary or classes
    data/labels             training targets from label images
    data/finding            one finding
    data/split              the split into training, validation and held-out images
    data/folds              the same for each fold of a cross-validation
    data/appearance         appearance of an image: contrast, sharpness, noise, pixel and cell size
    data/likeness           near copies and neighbouring sections
    data/comparison         truth and prediction of any program from disk
    data/annotators         labels of two annotators, by patterns
    data/grain              tells grey values from label numbers
    data/public             public data sets
    data/phantom            synthetic micrographs
    data/targets            the classes that the network learns of cells
    data/weight_map         the weight map, eq. 2
    data/augment            augmentation in one warp
    data/patches            the stream of training tiles
    data/datamodule         the LightningDataModule
    model/unet              the network, figure 1
    model/engine            runtimes of a trained network
    model/loss              losses, eq. 1 and others
    model/transfer          weights of one network for another
    model/schedule          a learning rate schedule without a planned end
    model/trained           a trained network with all that its predictions need
    model/archive           a checkpoint file: data only, whole or refused
    model/layout            checkpoints and settings of earlier versions
    metrics/rand pixel warping thinning   scores of the ISBI-2012 challenge
    metrics/instance semantic             scores of cells and of classes
    metrics/bootstrap       confidence intervals of scores
    metrics/goodness        direction of scores
    metrics/mistakes        places of mistakes
    metrics/evaluator       scores of many images over thresholds
    metrics/pooled          the same reduced over ranks
    metrics/calibration     calibrated probabilities
    metrics/comparing       significance of differences between runs
    metrics/confidence      confidence of single cells
    metrics/reliability     calibration errors
    metrics/features        measures of a prediction without its truth
    metrics/conformal       conformal intervals
    metrics/choosing        decoders compared with each other
    tiles/overlap           the overlap-tile strategy, figure 2
    tiles/blocks            planes that do not fit in memory; components across blocks
    tiles/symmetry          averages over rotations and mirrorings
The ground:
    instances               label images from probabilities; connected components
    tidying                 cells without holes and fragments
    flooding                watershed
    saying                  lines for the terminal, wrapped
    signals                 signals that stop a command
    tiles/geometry          valid sizes, margins, mirrored borders
    files/limits guard      limits on what a file announces
    files/incomplete        names of unfinished files
    files/whole             files that appear complete or not at all
    files/reading           JSON and YAML, read or refused by name
    files/legend            names and values of classes
    files/names             endings and stems of file names
    files/arrays            arrays, strip by strip
    files/stored            pixels and metadata of a file
    files/units             micrometres
    files/tiffs pictures omezarr microscopes   files of each format
    files/image             images of any size, as viewers show them, read by windows
    files/channels          images with one file per channel, all channels or some
    files/resampled         images on another pixel grid
    files/grey              grey values scaled to [0, 1]
    files/kept              caches

Hydra lives in: build command arguments checking refused folding running and the verbs
Lightning lives in: model/segmenter data/datamodule run training
"""

import functools
import os
import tomllib
from pathlib import Path

# Set before albumentations is imported, which would otherwise look for a newer version online.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# Set before torch is imported: operations that Apple's GPU lacks then run on the CPU instead of failing.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


CONF = Path(__file__).parent.parent / "conf"


@functools.cache
def version() -> str:
    """Return the version of the program, as stated in ``pyproject.toml``."""
    project = CONF.with_name("pyproject.toml")
    number: str = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    return number
