"""Train a U-Net: ``python -m src.train experiment=isbi``.

The run directory is the unit of work: the same command on the same directory continues an
unfinished run and returns at once for a finished one.
"""

from pathlib import Path

import hydra
import lightning
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from src import build, command
from src.run import directory as runs
from src.run.device import pays_to_compile
from src.tiles.symmetry import AVERAGES


@hydra.main(config_path=str(build.CONF), config_name="train", version_base="1.3")
@command.one_message
def main(config: DictConfig) -> None:
    directory = Path(config.run_dir)
    runs.open_run(directory, OmegaConf.to_container(config, resolve=True))
    if runs.finished_scores(directory):
        print(f"{directory} is finished")
    else:
        train(config, directory)
    report(directory)


def train(config: DictConfig, directory: Path) -> None:
    """Fit, then score the held-out slices once.

    Raises:
        ValueError: a choice is impossible, or ``max_time`` stopped the run before its last step.
    """
    command.check_choice("score", config.score, ("best", "last"))
    command.check_choice("tta", config.tta, AVERAGES)
    command.check_choice("compile", config.compile, ("auto", True, False))
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    trainer, data, module = build.trainer(config), build.data(config), build.segmenter(config)
    command.check_choice(
        f"monitor_mode of {config.monitor}", config.monitor_mode, [module.validation.mode(config.monitor)]
    )
    module.compiled = pays_to_compile(config.compile, config.trainer.max_steps)
    runs.keep_metrics(directory)
    trainer.fit(module, data, ckpt_path=runs.last_checkpoint(directory))
    if trainer.global_step < trainer.max_steps:
        raise ValueError(
            f"expected {trainer.max_steps} steps, but stopped after {trainer.global_step}; "
            f"the same command with hydra.run.dir={directory} continues"
        )
    # From the file alone, so that what is scored is what predict will use.
    trained = build.restore(directory / "checkpoints" / f"{config.score}.ckpt")
    trained.tta = config.tta
    trainer.test(trained, data, verbose=False)


@rank_zero_only
def report(directory: Path) -> None:
    """Print the scores and say where everything is, once for all processes."""
    command.print_scores(runs.finished_scores(directory))
    print(f"scores, predictions and checkpoints: {directory}")


if __name__ == "__main__":
    command.run(main)
