"""Find what is wrong with data before training: ``python -m src.check data.root=DIR``."""

import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src import command
from src.terminal import say


@command.verb("check")
def main(config: DictConfig) -> None:
    from src import checking
    from src.data.finding import ERROR
    from src.files.whole import write_json
    from src.findings.summary import lines

    if config.output and Path(config.output).suffix != ".json":
        raise ValueError(f"expected output to end in .json, but got {config.output}")
    chosen = HydraConfig.get().runtime.choices.experiment is not None
    found = checking.summary(config, chosen)
    for line in lines(found):
        say(line)
    if config.output:
        write_json(Path(config.output), found)
    if errors := [finding for finding in found["findings"] if finding["severity"] == ERROR]:
        sys.exit(f"error: {len(errors)} errors; training would be wrong")
    if chosen or found["root"]:
        arguments = checking.given() if chosen else checking.suggested(found)
        say(f"train: python -m src.train {' '.join(arguments)}")


if __name__ == "__main__":
    command.run(main)
