from pathlib import Path

import pytest

from src.run.tracking import mlflow_logger
from tests.conftest import TINY

mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow", "ignore::FutureWarning:mlflow")


def runs(database: str) -> list:
    client = mlflow.MlflowClient(database)
    return client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])


@pytest.mark.slow
def test_a_run_and_its_continuation_are_one_run_of_mlflow(train_slim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("logger=mlflow", "data.source.size=64")
    directory, status, _, error = train_slim(*arguments)
    assert status == 0, error
    _, status, _, error = train_slim(*arguments, "extend=1")
    assert status == 0, error
    database = f"sqlite:///{directory}/mlflow.db"
    (run,) = runs(database)
    assert run.info.status == "FINISHED" and run.info.run_name == str(directory)
    history = mlflow.MlflowClient(database).get_metric_history(run.info.run_id, "validation/v_rand")
    assert [metric.step for metric in history] == [0, 1]
    assert len(list(Path(directory).glob("mlflow/*/artifacts/images/*step*1*.png"))) >= 1
    assert not (tmp_path / "mlruns").exists()


def test_a_server_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(OSError, match="expected MLflow at http://127.0.0.1:9"):
        mlflow_logger(str(tmp_path), "http://127.0.0.1:9", "unet")


@pytest.mark.slow
def test_a_server_that_is_not_there_is_one_message(run_command, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    given = (*TINY, "logger=mlflow", "logger.mlflow.tracking_uri=http://127.0.0.1:9", f"hydra.run.dir={tmp_path}/run")
    status, _, error = run_command("train", *given)
    assert status == 1 and "expected MLflow at http://127.0.0.1:9" in error and "Traceback" not in error
