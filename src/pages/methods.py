"""Text for a paper: the methods of a run, and the references for its scores."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from src.files.reading import Layout, Number
from src.saying import shortened

# The reference for each score, by the beginning of its name.
SOURCES = {
    ("v_rand", "v_info", "rand_error", "warping_error", "pixel_error"): (
        "Arganda-Carreras I. et al. (2015) Crowdsourcing the creation of image segmentation algorithms for "
        "connectomics. Frontiers in Neuroanatomy 9:142."
    ),
    ("ap", "f1"): (
        "Schmidt U., Weigert M., Broaddus C., Myers G. (2018) Cell Detection with Star-Convex Polygons. MICCAI 2018, "
        "LNCS 11071, 265–273."
    ),
    ("pq",): "Kirillov A. et al. (2019) Panoptic Segmentation. CVPR 2019, 9404–9413.",
    ("seg", "det"): (
        "Maška M. et al. (2014) A benchmark for comparison of cell tracking algorithms. Bioinformatics 30:1609–1617."
    ),
}


class Call(Layout):
    """A node of the configuration that calls a class or function (``_target_``)."""

    target: str = Field(alias="_target_", pattern=r"\.")

    @property
    def callee(self) -> str:
        """The name of the class or function that the node calls, without its module."""
        return self.target.rpartition(".")[2]


class Network(Layout):
    """The node ``model`` of the configuration."""

    depth: int
    base_channels: int
    padded: bool
    norm: Literal["none", "batch", "batch_after"]


class Tiles(Layout):
    """The node ``data`` of the configuration: tiles, and the split of the images."""

    batch_size: int
    tile: int
    train: str | int = ""
    validation: str | int
    held_out: str | int = ""


# The defaults of the next three classes repeat those of `data.weight_map.WeightMap`, `data.augment.Warp`, and
# `data.targets.Border` and `Core`, because importing these modules would slow down every page. A test compares the
# defaults.
class Weights(Layout):
    """The node ``weight_map`` of the configuration."""

    model_config = ConfigDict(strict=True, extra="forbid")
    target: str = Field("", alias="_target_")
    w0: Number = Field(10, ge=0)
    sigma: Number = Field(5, gt=0)
    balance: bool | Number = True


class FirstTransform(Call):
    """The first entry of ``augment.transforms`` in the configuration: the warp, whose arguments go into the text."""

    rotation: Number = 180
    mirror: bool = True
    scale: Number = 1
    elastic: Number = 10


class Target(Call):
    """The node ``target`` of the configuration."""

    width: Number = 2
    rim: Number = 0.5


class Optimizer(Call):
    """The node ``optimizer`` of the configuration."""

    lr: Number | None = None


class Scheduler(Call):
    """The node ``scheduler`` of the configuration."""

    power: Number = 1
    warm_up: int = 0
    patience: int | None = None


class Augment(Layout):
    """The node ``augment`` of the configuration."""

    transforms: list[dict[str, object]] = Field(min_length=1)

    @field_validator("transforms")
    @classmethod
    def _check_calls(cls, transforms: list[dict[str, object]]) -> list[dict[str, object]]:
        FirstTransform.model_validate(transforms[0])
        for other in transforms[1:]:
            Call.model_validate(other)
        return transforms


class Described(Layout):
    """The part of ``config.yaml`` that pages read."""

    model: Network
    data: Tiles
    weight_map: Weights
    optimizer: Optimizer
    scheduler: Scheduler | None = None
    loss: Call
    instances: Call
    augment: Augment
    target: Target | None = None
    start_from: str | None = None
    monitor: str
    score: str
    tta: Literal["none", "rot7", "d4"]
    seed: int | None = None


def methods(config: Mapping[str, object], scores: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Return a paragraph for the methods section of a paper.

    Args:
        config: the configuration of the run, in the layout of `Described`.
        scores: the scores of the run, in the layout of ``scores.json``, with the number of training ``steps``.
        facts: the environment of the run, in the layout of ``environment.json``; unknown facts are left out of the
            paragraph.

    Raises:
        ValueError: the configuration has another layout.
    """
    described = Described.model_validate(config)
    packages = facts.get("packages", {})
    named = [f"{name} {packages[name]}" for name in ("torch", "lightning", "albumentations") if name in packages]
    sentences = (
        _training(described, scores["steps"]),
        *rate_over_time(described.scheduler),
        *training_images(described.data, facts),
        *target_and_start(described),
        augmentation(described.augment),
        _scoring(described, scores),
        *([f"Software: {', '.join(named)}."] if named else []),
        *hardware(facts, scores.get("seconds", 0.0), described.seed),
    )
    return " ".join(sentences)


def _training(described: Described, steps: int) -> str:
    """Describe the network, the loss and the optimiser in a sentence."""
    model, data, optimizer, weight = described.model, described.data, described.optimizer, described.weight_map
    norm = {"none": "no", "batch": "batch", "batch_after": "batch (after each ReLU)"}[model.norm]
    convolutions = "padded" if model.padded else "valid (unpadded)"
    balance = f"{'with' if weight.balance else 'without'} class balance"
    balance += "" if weight.balance in (0, 1) else f" (exponent {weight.balance:g})"
    loss = described.loss.callee.replace("_", " ")
    if "weighted" in loss:
        loss += f" (eq. 2 with w0 = {weight.w0:g} and σ = {weight.sigma:g} pixels, {balance})"
    tiles = f"{data.batch_size} tile{'s' * (data.batch_size != 1)} of {data.tile}×{data.tile} pixels"
    rate = f" (learning rate {optimizer.lr:g})" if optimizer.lr is not None else ""
    return (
        f"A U-Net (Ronneberger et al. 2015) with {model.depth} poolings, {model.base_channels} channels at full "
        f"resolution, {convolutions} convolutions and {norm} normalisation was trained for {steps} steps of "
        f"{tiles} with {optimizer.callee}{rate} and {loss}."
    )


def _scoring(described: Described, scores: Mapping[str, Any]) -> str:
    """Describe in a sentence what was chosen on the validation images, and how held-out images were predicted."""
    averaged = {"none": "", "rot7": ", averaged over seven rotations", "d4": ", averaged over eight symmetries"}
    images = len(scores["per_image"])
    predicted = (
        f"{images} held-out image{'s were' if images != 1 else ' was'} predicted by overlapping tiles"
        f"{averaged[described.tta]}, and scored once."
    )
    if not described.data.validation:
        return f"The {predicted}"
    decoder = (scores.get("instances") or {"name": described.instances.callee.lower()})["name"]
    scored = f", of step {scores['scored_step']}" if scores.get("scored_step") else ""
    decoded = "" if decoder == "classes" else f", the decoder ({decoder})"
    return (
        f"The checkpoint ({described.score}{scored}){decoded} and the threshold ({scores['threshold']:.1f}) were "
        f"chosen by {described.monitor} on the validation images; the {predicted}"
    )


def rate_over_time(scheduler: Scheduler | None) -> list[str]:
    """Describe in a sentence how the learning rate changed; return no sentence if the scheduler is unknown."""
    if scheduler is None:
        return []
    known = {
        "ConstantLR": "The learning rate was constant.",
        "CosineAnnealingLR": "The learning rate fell to 0 along half a cosine.",
        "PolynomialLR": f"The learning rate fell as (1 − step/steps)^{scheduler.power:g}.",
        "Plateau": (
            f"The learning rate rose for {scheduler.warm_up} steps, was constant until {scheduler.patience} "
            f"validations in a row brought no improvement, and then fell to 0."
        ),
    }
    return [known[scheduler.callee]] if scheduler.callee in known else []


def training_images(data: Tiles, facts: Mapping[str, Any]) -> list[str]:
    """Describe the number of training images and the split of all images; return no sentence if it is unknown."""
    images, cells = facts.get("images_learnt_from"), facts.get("cells_learnt_from")
    if images is None:
        return []
    counted = f", with {cells} annotated cells" if cells else ""
    parts = {"train": data.train, "validation": data.validation, "held-out": data.held_out}
    split = {name: str(part) for name, part in parts.items() if str(part).strip()}
    if all(part == "auto" for part in split.values()):
        how = "was automatic: no two parts share a file or a group"
    else:
        how = f"was made by hand ({', '.join(f'{name}: {shortened(part, 60)}' for name, part in split.items())})"
    return [
        f"There {'were' if images != 1 else 'was'} {images} training image{'s' * (images != 1)}{counted}.",
        f"The split into training, validation and held-out images {how}.",
    ]


def hardware(facts: Mapping[str, Any], seconds: float, seed: int | None) -> list[str]:
    """Describe in a sentence where and how long the network was trained; no sentence if the device is unknown."""
    if not facts.get("device"):
        return []
    count = f" × {facts['world_size']}" if facts.get("world_size", 1) != 1 else ""
    seeded = f", with seed {seed}" if seed is not None else ""
    where = f"{facts['device']}{count} in precision {facts.get('precision')}"
    return [f"Training took {seconds / 60:.1f} minutes on {where}{seeded}."]


def target_and_start(described: Described) -> list[str]:
    """Describe in sentences the additional classes and pretrained weights, if the run has them."""
    target, found = described.target, []
    if target and target.callee == "Border":
        found.append(f"The outermost {target.width:g} pixels of each cell were a class of their own.")
    if target and target.callee == "Core":
        found.append(
            f"The rim of each cell, as wide as {target.rim:g} of its half-width, was a class of its own, so that the "
            "cores of touching cells do not touch."
        )
    if described.start_from:
        found.append("Training started from the weights of another network.")
    return found


def augmentation(augment: Augment) -> str:
    """Describe in a sentence how training tiles were augmented."""
    warp = FirstTransform.model_validate(augment.transforms[0])
    done = ["shifted"]
    if warp.rotation:
        done.append(f"rotated by up to {warp.rotation:g}° either way")
    if warp.mirror:
        done.append("mirrored")
    if warp.scale != 1:
        done.append(f"scaled up and down by up to {warp.scale:g}")
    if warp.elastic:
        done.append(f"deformed elastically (σ = {warp.elastic:g} pixels on a 3×3 grid)")
    done += [f"changed by {callee(each)}" for each in augment.transforms[1:]]
    return f"Tiles were {', '.join(done)}."


def sources(scores: Iterable[str]) -> list[str]:
    """Return the references to cite for scores, given the names of the scores."""
    return [text for names, text in SOURCES.items() if any(score.startswith(names) for score in scores)]


def callee(node: Mapping[str, object]) -> str:
    """Return the name of the class or function that a node of the configuration calls, without its module."""
    return Call.model_validate(node).callee
