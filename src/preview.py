"""Show training tiles and pixel weights before training: ``python -m src.preview experiment=isbi``."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from src import build, command, running
from src.arguments import check_least, with_keys
from src.saying import doing, say


@command.verb("preview")
def main(config: DictConfig) -> None:
    """Check the data, draw random training tiles, and write a page that shows them."""
    from src import checking, folding, training
    from src.pages.page import write_preview_page
    from src.pages.samples import draws_summary, images_figure, tiles_figure, weights_summary

    if Path(config.output).suffix != ".html":
        raise ValueError(f"expected output to end in .html, but got {config.output}")
    check_least("draws", config.draws, 1)
    effective = folding.resolved(build.plain(config))
    checking.before_training(effective)
    data = training.make_data(effective)
    data.setup()
    with doing(f"drawing {config.draws} tiles"):
        lines = [draws_summary(data.patches, config.draws), weights_summary(data.patches, data.classes)]
        figures = tiles_figure(data.patches), images_figure(data.patches)
    for line in lines:
        say(line)
    write_preview_page(Path(config.output), "Before training", lines, *figures)
    say(f"preview: {config.output}")


def start() -> None:
    """Run the command in ``sys.argv``.

    Raises:
        SystemExit: an error occurred, or a signal stopped the command.
    """
    sys.argv[1:] = with_keys("preview", sys.argv[1:])
    running.choose_experiment("preview")
    command.run(main, "preview")


if __name__ == "__main__":
    start()
