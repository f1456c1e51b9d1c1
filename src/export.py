"""Export a trained network: ``python -m src.export checkpoint=FILE format=onnx output=PATH``.

The exported file is opened again in the runtime of its format and compared with `src.predict` on an image, tile by
tile, before it gets its final name.
"""

from pathlib import Path

from omegaconf import DictConfig

from src import command
from src.arguments import check_choice
from src.saying import say


@command.verb("export")
def main(config: DictConfig) -> None:
    """Export one checkpoint, and print how closely the exported file reproduces the probabilities of `src.predict`."""
    from src.exporting import ENDINGS, exported, prepared, remarks, target
    from src.exports.rdf import Named, suggested
    from src.restore import restore

    check_choice("format", config.format, ENDINGS)
    check_choice("scale", config.scale, ("image", "fixed"))
    check_choice("border", config.border, ("lost", "mirrored"))
    if not isinstance(config.checkpoint, str):
        raise ValueError(f"expected one checkpoint, but got {config.checkpoint}; nearest valid: a command for each")
    authors = config.authors or []
    file, checkpoint = target(Path(config.output), config.format, config.overwrite), Path(config.checkpoint)
    name = suggested(Path(config.output).stem) if config.name is None else str(config.name)
    named = Named(name, (authors,) if isinstance(authors, str) else tuple(map(str, authors)), str(config.license or ""))
    trained = restore(checkpoint)
    mirrored = config.border == "mirrored" or config.format == "bioimageio"
    leaving, example = prepared(checkpoint, trained, config.images, config.scale == "fixed", mirrored)
    for line in exported(leaving, example, config.format, file, named):
        say(line)
    for line in remarks(leaving, example, config.format, named):
        say(f"note: {line}")


if __name__ == "__main__":
    command.run(main, "export")
