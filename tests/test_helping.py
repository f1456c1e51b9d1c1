"""``--help`` is one screen, complete and true."""

import re

import pytest
import yaml

from src import CONF, helping

VERBS = ("train", "check", "preview", "predict", "score", "report", "export", "crossval")


@pytest.fixture
def screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_one_screen_with_examples(verb, screen, run_command):
    status, printed, error = run_command(verb, "--help")
    assert (status, error) == (0, "")
    lines = printed.splitlines()
    assert len(lines) <= 55
    commands = [line for line in lines if "python -m" in line]
    assert all(len(line) <= 100 for line in lines if line not in commands)
    assert [line.strip() for line in commands] == helping.examples(verb)
    assert len(commands) >= (1 if verb == "report" else 3) and all(f"src.{verb} " in line for line in commands)


@pytest.mark.parametrize("verb", VERBS)
def test_each_key_of_a_command_is_explained(verb, screen):
    content = yaml.safe_load((CONF / f"{verb}.yaml").read_text())
    shown = helping.help_of(verb)
    own = {*content} - {"defaults", "hydra", "run_dir", "draws"}
    assert {key for key in own if not re.search(rf"^  {key}=\S+ +\S", shown, re.MULTILINE)} == set()


def test_a_noun_lists_its_choices(screen):
    assert re.search(r"^  optimizer=adamw +adamw, sgd$", helping.help_of("train"), re.MULTILINE)
