"""Look at what a network would learn from, before it does: ``python -m src.preview experiment=isbi``."""

from pathlib import Path

from omegaconf import DictConfig

from src import build, check, command
from src.data.patches import Patches
from src.pages.page import write_preview_page
from src.pages.samples import distinct, slices_figure, tiles_figure


@command.verb("preview")
def main(config: DictConfig) -> None:
    if Path(config.output).suffix != ".html":
        raise ValueError(f"expected output to end in .html, but got {config.output}")
    if not isinstance(config.draws, int) or config.draws < 1:
        raise ValueError(f"expected draws to be a number of tiles, but got {config.draws}; nearest valid: 1")
    check.before_training(config)
    data = build.data(config)
    data.setup()
    patches = data.patches()
    lines = [described(patches, config.draws), weighed(patches, config.model.classes)]
    for line in lines:
        command.say(line)
    write_preview_page(Path(config.output), "Before training", lines, tiles_figure(patches), slices_figure(patches))
    command.say(f"preview: {config.output}")


def described(patches: Patches, draws: int) -> str:
    """How many different tiles the stream gives, from which slices."""
    different, names = distinct(patches, draws)
    least, most = min(names.values()), max(names.values())
    tile = patches[0]
    return (
        f"Of {draws} tiles drawn, {different} are distinct. They come from {len(names)} slices, of which each was "
        f"drawn {least} to {most} times. A tile is {tile['image'].shape[-1]} pixels wide; the network is asked about "
        f"{tile['target'].shape[-1]} of them."
    )


def weighed(patches: Patches, classes: int) -> str:
    """What each class has of the weight."""
    shares = ", ".join(f"class {number} {share:.0%}" for number, share in enumerate(patches.class_shares(classes)))
    least, most = min(each.min() for each in patches.weights), max(each.max() for each in patches.weights)
    return f"Weights of pixels are {least:.2g} to {most:.3g}. Of all weight, {shares}."


if __name__ == "__main__":
    command.run(main)
