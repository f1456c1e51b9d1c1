"""Runs in MLflow: one run of ours is one run there, also after an interruption."""

from pathlib import Path

from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only

RECENT = 1000  # runs of an experiment among which an earlier part of this one is looked for


def mlflow_logger(run_dir: str, tracking_uri: str, experiment_name: str) -> MLFlowLogger:
    """Make a logger that continues the MLflow run of this directory, or begins one.

    Lightning's logger alone would begin another MLflow run whenever a run is continued.

    Args:
        run_dir: the run directory, which names the run in MLflow; pictures are stored in it, unless the tracking
            server stores them itself.
        tracking_uri: a database, such as ``sqlite:///runs/mlflow.db``, or a tracking server, ``http://…``.
        experiment_name: the experiment of MLflow, which is made if there is none.

    Raises:
        OSError: the database or the server cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    try:
        earlier = _run_id(run_dir, tracking_uri, experiment_name)
    except MlflowException as error:
        raise OSError(f"expected MLflow at {tracking_uri}, but got: {str(error).splitlines()[0]}") from error
    artifacts = None if tracking_uri.startswith("http") else (Path(run_dir) / "mlflow").resolve().as_uri()
    return MLFlowLogger(
        experiment_name=experiment_name,
        run_name=run_dir,
        tracking_uri=tracking_uri,
        artifact_location=artifacts,
        run_id=earlier,
    )


@rank_zero_only
def _run_id(run_dir: str, tracking_uri: str, experiment_name: str) -> str | None:
    """Find the MLflow run of a run directory; None if there is none yet."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name(experiment_name)
    if experiment is None:
        return None
    runs = client.search_runs([experiment.experiment_id], max_results=RECENT)  # the newest first
    return next((run.info.run_id for run in runs if run.info.run_name == run_dir), None)
