"""Errors of the command line are explained in terms of the command, with similar valid values."""

import shlex

import pytest

HYDRA = ("struct", "full_key", "hydra.cc", "provider", "override grammar", "Could not", "Traceback", "Missing")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train model.widht=3", ["model.widht=3", "nearest valid: model.depth"]),
        ("train modle=unet", ["modle=unet", "nearest valid: model"]),
        ("train optimzer.lr=1", ["optimzer.lr=1", "nearest valid: optimizer.lr"]),
        ("train data.rooot=x", ["data.rooot=x", "nearest valid: data.root"]),
        ("train data=folder data.grups=x", ["nearest valid: data.groups"]),
        ("train trainer.steps=3", ["trainer.steps=3", "nearest valid: ", "trainer.max_steps"]),
        ("train ~optimzer", ["~optimzer", "nearest valid: optimizer"]),
        ("train hubba=1", ["hubba=1", "nearest valid: "]),
        ("train experiment=isib", ["expected experiment to be one of cells,", "nearest valid: experiment=isbi"]),
        ("train model=unett", ["unet, unet_paper", "nearest valid: model=unet"]),
        ("train -m experiment=isib seed=1,2 hydra.sweep.dir=sweep", ["nearest valid: experiment=isbi"]),
        ("train images more", ["but got more", "python -m src.train my_images"]),
        ("train 'optimizer.lr=[1,2'", ["but got optimizer.lr=[1,2", "optimizer.lr='[1,2'"]),
        ("train experiment=cells", ["expected data.root, but got none", "python -m src.train my_images"]),
        ("check", ["expected data.root, but got none", "python -m src.check my_images"]),
        ("predict", ["expected checkpoint, input and output, but got none", "python -m src.predict runs/demo"]),
        ("predict input=images", ["expected checkpoint and output, but got none"]),
        ("predict a.ckpt b c outptu=d", ["outptu=d", "nearest valid: output"]),
        ("score truths", ["expected prediction, but got none", "python -m src.score truths predictions"]),
        ("report", ["expected run=DIR or compare=[RUN_A,RUN_B], but got neither"]),
        ("crossval fold=many hydra.run.dir=folds", ["expected all folds, but got fold="]),
    ],
)
def test_a_mistake_is_explained_in_terms_of_the_command(line, expected, run_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    verb, *arguments = shlex.split(line)
    status, _, error = run_command(verb, *arguments)
    assert status == 1
    assert all(words in error for words in expected), error
    assert not any(words in error for words in HYDRA), error


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("check nothing", "there is none at nothing"),
        ("train nothing", "there is none at nothing"),
        ("preview nothing", "there is none at nothing"),
        ("predict nothing.ckpt images out", "nothing.ckpt"),
        ("score nothing neither", "nothing"),
        ("report nothing", "nothing"),
    ],
)
def test_a_bare_path_is_what_it_looks_like(line, expected, run_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    verb, *arguments = line.split()
    status, _, error = run_command(verb, *arguments)
    assert status == 1 and expected in error, error
