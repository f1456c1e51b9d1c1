"""Find errors in annotated images before training: ``python -m src.check data.root=DIR``."""

import shlex
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src import build, command
from src.saying import say


@command.verb("check")
def main(config: DictConfig) -> None:
    """Print facts about the data and problems found in them, or write a repaired copy of the data."""
    from src import checking, folding
    from src.data.finding import ERROR
    from src.files.whole import write_json
    from src.findings.summary import lines

    if config.output and Path(config.output).suffix != ".json":
        raise ValueError(f"expected output to end in .json, but got {config.output}")
    for_training = HydraConfig.get().runtime.choices["experiment"] is not None
    if config.mend:
        write_copy(config, for_training)
        return
    found = checking.summary(folding.resolved(build.plain(config)), for_training)
    for line in lines(found):
        say(line)
    if config.output:
        write_json(Path(config.output), found)
    if errors := [finding for finding in found["findings"] if finding["severity"] == ERROR]:
        plural = "s" * (len(errors) > 1)
        sys.exit(f"error: {len(errors)} error{plural} in the data; training would go wrong")
    if for_training or found["root"]:
        for line in checking.advice(found):
            say(line)


def write_copy(config: DictConfig, for_training: bool) -> None:
    """Write a repaired copy of the data, and print the changes and a command that trains on the copy."""
    from src import checking, mending

    if config.output:
        raise ValueError("expected output or mend, but got both; nearest valid: mend=DIR, then output=FILE of the copy")
    plain, given = build.plain(config), checking.given_arguments()
    mended, copy = mending.mend(plain, for_training, Path(config.mend), given)
    for line in mending.lines(mended):
        say(line)
    arguments, memory = checking.completed(copy, mending.for_the_copy(given, mended["arguments"]))
    say(memory)
    say(f"train: python -m src.train {shlex.join(arguments)}")


if __name__ == "__main__":
    command.run(main, "check")
