"""Find what is wrong with data before training: ``python -m src.check data.root=DIR``."""

import shlex
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from src import command
from src.saying import say


@command.verb("check")
def main(config: DictConfig) -> None:
    from src import checking, folding
    from src.data.finding import ERROR
    from src.files.whole import write_json
    from src.findings.summary import lines

    if config.output and Path(config.output).suffix != ".json":
        raise ValueError(f"expected output to end in .json, but got {config.output}")
    chosen = HydraConfig.get().runtime.choices.experiment is not None
    if config.mend:
        write_copy(config, chosen)
        return
    found = checking.summary(folding.resolved(OmegaConf.to_container(config, resolve=True)), chosen)
    for line in lines(found):
        say(line)
    if config.output:
        write_json(Path(config.output), found)
    if errors := [finding for finding in found["findings"] if finding["severity"] == ERROR]:
        sys.exit(f"error: {len(errors)} errors; training would be wrong")
    if chosen or found["root"]:
        for line in checking.advice(found):
            say(line)


def write_copy(config: DictConfig, chosen: bool) -> None:
    """Write a repaired copy of the data, and say what was changed in it and how to go on."""
    from src import checking, mending

    if config.output:
        raise ValueError("expected output or mend, but got both; nearest valid: mend=DIR, then output=FILE of the copy")
    plain, given = OmegaConf.to_container(config, resolve=True), checking.typed()
    mended, copy = mending.mend(plain, chosen, Path(config.mend), given)
    for line in mending.lines(mended):
        say(line)
    arguments, memory = checking.completed(copy, mending.for_the_copy(given, mended["arguments"]))
    say(memory)
    say(f"train: python -m src.train {shlex.join(arguments)}")


if __name__ == "__main__":
    command.run(main)
