"""Log a run to MLflow as a single MLflow run, even if the run is interrupted and resumed."""

from pathlib import Path

from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only

RECENT = 1000  # number of most recent MLflow runs that are searched for an earlier part of this run


def mlflow_logger(run_dir: str, tracking_uri: str, experiment_name: str) -> MLFlowLogger:
    """Create a logger that continues the MLflow run of a run directory, or starts a new MLflow run if none exists.

    By default, Lightning's logger would start a new MLflow run each time a run is resumed.

    Args:
        run_dir: the run directory, which also names the MLflow run; pictures are stored in this directory, unless a
            tracking server stores them.
        tracking_uri: a database, such as ``sqlite:///runs/mlflow.db``, or a tracking server (``http://…``).
        experiment_name: the MLflow experiment, which is created if it does not exist.

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
    """Return the identifier of the MLflow run that is named after a run directory, or None if it does not exist yet."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name(experiment_name)
    if experiment is None:
        return None
    runs = client.search_runs([experiment.experiment_id], max_results=RECENT)  # the newest first
    return next((run.info.run_id for run in runs if run.info.run_name == run_dir), None)
