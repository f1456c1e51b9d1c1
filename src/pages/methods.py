"""What to write about a run in a paper: how it was done, and whom to cite for its scores."""

from collections.abc import Iterable
from typing import Literal

from pydantic import ConfigDict, Field, field_validator

from src.files.reading import Layout, Number
from src.saying import shortened

# What `data.augment.Warp` and `data.weight_map.WeightMap` take where a configuration says nothing. They are not asked
# themselves, because a page would wait for what they import; a test asks them.
WARP = {"rotation": 180, "mirror": True, "scale": 1.0, "elastic": 10}
WEIGHTS = {"w0": 10.0, "sigma": 5.0, "balance": True}
RIMS = {"width": 2.0, "rim": 0.5}  # of `data.targets.Border` and `Core`
# What the names of scores begin with, and where they come from.
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
    """A node of the configuration that calls something."""

    target: str = Field(alias="_target_", pattern=r"\.")


class Network(Layout):
    """The node ``model``."""

    depth: int
    base_channels: int
    padded: bool
    norm: Literal["none", "batch", "batch_after"]


class Tiles(Layout):
    """The node ``data``."""

    batch_size: int
    tile: int
    validation: str | int


class Weights(Layout):
    """The node ``weight_map``."""

    model_config = ConfigDict(strict=True, extra="forbid")
    target: str = Field("", alias="_target_")
    w0: Number = Field(0, ge=0)
    sigma: Number = Field(1, gt=0)
    balance: bool | Number = True


class Optimizer(Call):
    """The node ``optimizer``."""

    lr: Number = 0


class FirstTransform(Call):
    """The first of ``augment.transforms``, of which more is said than its name."""

    rotation: Number = 0
    mirror: bool = True
    scale: Number = 1
    elastic: Number = 0


class Augment(Layout):
    """The node ``augment``."""

    transforms: list[Call] = Field(min_length=1)

    @field_validator("transforms", mode="before")
    @classmethod
    def first_is_known(cls, transforms: object) -> object:
        for first in transforms[:1] if isinstance(transforms, list) else ():
            FirstTransform.model_validate(first)
        return transforms


class Described(Layout):
    """What a page says of ``config.yaml``."""

    model: Network
    data: Tiles
    weight_map: Weights
    optimizer: Optimizer
    loss: Call
    instances: Call
    augment: Augment
    target: Call | None = None
    start_from: str | None = None
    score: str
    tta: Literal["none", "rot7", "d4"]


def methods(config: dict, scores: dict, facts: dict) -> str:
    """A paragraph for the methods section of a paper.

    Args:
        config: of a run, in the layout of `Described`.
        scores: of the run.
        facts: on which its result depends; nothing is said on software where they are not known.
    """
    model, data, optimizer = config["model"], config["data"], config["optimizer"]
    weight = WEIGHTS | config["weight_map"]
    norm = {"none": "no", "batch": "batch", "batch_after": "batch (after each ReLU)"}[model["norm"]]
    convolutions = "padded" if model["padded"] else "valid (unpadded)"
    loss, balance = callee(config["loss"]).replace("_", " "), "with" if weight["balance"] else "without"
    balance = balance if weight["balance"] in (0, 1) else f"frequencies to the power {weight['balance']:g} as"
    weights = f" (eq. 2 with w0 = {weight['w0']:g} and σ = {weight['sigma']:g} pixels, {balance} class balance)"
    tiles = f"{data['batch_size']} tile{'s' * (data['batch_size'] != 1)} of {data['tile']}×{data['tile']} pixels"
    averaged = {"none": "", "rot7": ", averaged over seven rotations", "d4": ", averaged over eight symmetries"}
    rate = f" (learning rate {optimizer['lr']:g})" if "lr" in optimizer else ""
    numbering = (scores.get("instances") or {"name": callee(config["instances"]).lower()})["name"]
    scored = f", of step {scores['scored_step']}" if scores.get("scored_step") else ""
    numbered = "" if numbering == "classes" else f", the way of numbering cells ({numbering})"
    chosen = (
        f"The checkpoint ({config['score']}{scored}){numbered} and the threshold ({scores['threshold']:.1f}) were "
        f"chosen by {config['monitor']} on images that were neither learnt from nor scored; the"
    )
    packages = facts.get("packages", {})
    named = [f"{name} {packages[name]}" for name in ("torch", "lightning", "albumentations") if name in packages]
    split = {part: str(data[part]) for part in ("train", "validation", "held_out") if str(data.get(part, "")).strip()}
    sentences = (
        f"A U-Net (Ronneberger et al. 2015) with {model['depth']} poolings, {model['base_channels']} channels at full "
        f"resolution, {convolutions} convolutions and {norm} normalisation was trained for {scores['steps']} steps of "
        f"{tiles} with {callee(optimizer)}{rate} and {loss}"
        f"{weights if 'weighted' in loss else ''}.",
        *rate_over_time(config.get("scheduler") or {}),
        *images_learnt_from(split, facts),
        *learnt(config),
        augmentation(config["augment"]),
        f"{chosen if data['validation'] else 'The'} {len(scores['per_image'])} "
        f"held-out images were predicted by overlapping tiles{averaged[config['tta']]}, and scored once.",
        *([f"Software: {', '.join(named)}."] if named else []),
        *hardware(facts, scores.get("seconds", 0.0), config.get("seed")),
    )
    return " ".join(sentences)


def rate_over_time(scheduler: dict) -> list[str]:
    """How the learning rate changed, as a sentence; none where it is not known."""
    known = {
        "ConstantLR": "The learning rate was constant.",
        "CosineAnnealingLR": "The learning rate fell to 0 as half a cosine.",
        "PolynomialLR": f"The learning rate fell as (1 − step/steps)^{scheduler.get('power', 1):g}.",
        "Plateau": (
            f"The learning rate rose for {scheduler.get('warm_up', 0)} steps, was constant until "
            f"{scheduler.get('patience')} validations in a row were no better, and then fell to 0."
        ),
    }
    return [known[callee(scheduler)]] if callee(scheduler) in known else []


def images_learnt_from(split: dict[str, str], facts: dict) -> list[str]:
    """How much was learnt from and how the images were parted, as sentences; none where it is not known."""
    images, cells = facts.get("images_learnt_from"), facts.get("cells_learnt_from")
    if images is None:
        return []
    counted = f" with {cells} annotated cells" if cells else ""
    automatic = all(part == "auto" for part in split.values())
    how = "automatically, so that no two parts share a file or a group" if automatic else "by hand"
    parts = "" if automatic else f" ({', '.join(f'{name}: {shortened(part, 60)}' for name, part in split.items())})"
    return [
        f"It learnt from {images} image{'s' * (images != 1)}{counted}.",
        f"Training, validation and held-out images were parted {how}{parts.replace('_', '-')}.",
    ]


def hardware(facts: dict, seconds: float, seed: int | None) -> list[str]:
    """Where and for how long it was trained, as a sentence; none where it is not known."""
    if not facts.get("device"):
        return []
    count = f" × {facts['world_size']}" if facts.get("world_size", 1) != 1 else ""
    seeded = f", with seed {seed}" if seed is not None else ""
    where = f"{facts['device']}{count} in precision {facts.get('precision')}"
    return [f"Training took {seconds / 60:.1f} minutes on {where}{seeded}."]


def learnt(config: dict) -> list[str]:
    """What was learnt of cells, if it was not the paper's way, and what training began with, as sentences."""
    target, found = RIMS | (config.get("target") or {}), []
    if callee(target) == "Border":
        found.append(f"The outermost {target['width']:g} pixels of each cell were a class of their own.")
    if callee(target) == "Core":
        found.append(
            f"The rim of each cell, as wide as {target['rim']:g} of its half-width, was a class of its own, so that "
            "cores mark cells that touch."
        )
    if config.get("start_from"):
        found.append("Training began with the weights of an earlier network.")
    return found


def augmentation(config: dict) -> str:
    """What was done to the tiles, as a sentence."""
    transforms = config["transforms"]
    warp = WARP | transforms[0]
    done = ["shifted"]
    if warp["rotation"]:
        done.append(f"rotated by up to {warp['rotation']:g}° either way")
    if warp["mirror"]:
        done.append("mirrored")
    if warp["scale"] != 1:
        done.append(f"scaled up and down by up to {warp['scale']:g}")
    if warp["elastic"]:
        done.append(f"deformed elastically (σ = {warp['elastic']:g} pixels on a 3×3 grid)")
    done += [f"changed by {callee(each)}" for each in transforms[1:]]
    return f"Tiles were {', '.join(done)}."


def sources(scores: Iterable[str]) -> list[str]:
    """Where the scores of these names come from."""
    return [text for names, text in SOURCES.items() if any(score.startswith(names) for score in scores)]


def callee(node: dict) -> str:
    """The name of what a node of the configuration calls."""
    return node.get("_target_", "").rpartition(".")[2]
