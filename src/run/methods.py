"""What to write about a run in a paper: how it was done, and whom to cite for its scores."""

import inspect
from collections.abc import Iterable

from src.data.augment import Warp
from src.data.weight_map import WeightMap

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


def methods(config: dict, scores: dict, facts: dict) -> str:
    """A paragraph for the methods section of a paper."""
    model, data, optimizer = config["model"], config["data"], config["optimizer"]
    weight = WeightMap(**{name: value for name, value in config["weight_map"].items() if name != "_target_"})
    norm = {"none": "no", "batch": "batch", "batch_after": "batch (after each ReLU)"}[model["norm"]]
    convolutions = "padded" if model["padded"] else "valid (unpadded)"
    loss, balance = callee(config["loss"]).replace("_", " "), "with" if weight.balance else "without"
    weights = f" (eq. 2 with w0 = {weight.w0:g} and σ = {weight.sigma:g} pixels, {balance} class balance)"
    tiles = f"{data['batch_size']} tile{'s' * (data['batch_size'] != 1)} of {data['tile']}×{data['tile']} pixels"
    averaged = {"none": "", "rot7": ", averaged over seven rotations", "d4": ", averaged over eight symmetries"}
    rate = f" (learning rate {optimizer['lr']:g})" if "lr" in optimizer else ""
    chosen = (
        f"The checkpoint ({config['score']}) and the threshold ({scores['threshold']:.1f}) were chosen by "
        f"{config['monitor']} on slices that were neither learnt from nor scored; the"
    )
    packages = facts["packages"]
    sentences = (
        f"A U-Net (Ronneberger et al. 2015) with {model['depth']} poolings, {model['base_channels']} channels at full "
        f"resolution, {convolutions} convolutions and {norm} normalisation was trained for {scores['steps']} steps of "
        f"{tiles} with {callee(optimizer)}{rate} and {loss}"
        f"{weights if 'weighted' in loss else ''}.",
        augmentation(config["augment"]),
        f"{chosen if data['validation'] else 'The'} {len(scores['per_image'])} "
        f"held-out slices were predicted by overlapping tiles{averaged[config['tta']]}, and scored once.",
        f"Software: {', '.join(f'{name} {packages[name]}' for name in ('torch', 'lightning', 'albumentations'))}.",
    )
    return " ".join(sentences)


def augmentation(config: dict) -> str:
    """What was done to the tiles, as a sentence."""
    transforms = config["transforms"]
    usual = {name: each.default for name, each in inspect.signature(Warp).parameters.items()}
    warp = usual | transforms[0]
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
    return node["_target_"].rpartition(".")[2]
