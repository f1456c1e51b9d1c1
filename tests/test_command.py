"""The command line: paths as they are, errors as one message."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from src import command


@pytest.mark.parametrize(
    "path",
    [
        "plain.tif",
        "with space.tif",
        "a=b,c (1).tif",
        "현미경/그림.tif",
        "it's.tif",
        'say "x".tif',
        "[1].tif",
        "{a}.tif",
    ],
)
@pytest.mark.parametrize("key", ["input", "data.root", "hydra.run.dir"])
def test_a_path_reaches_the_configuration_unchanged(key, path):
    (override,) = OverridesParser.create().parse_overrides([command.quote(f"{key}={path}")])
    assert override.key_or_group == key
    assert override.value() == path


def test_what_is_quoted_or_no_path_stays_as_it_is():
    for argument in ("input='a b.tif'", "seed=1,2", "-m", "trainer.max_steps=5", "input="):
        assert command.quote(argument) == argument


def test_only_a_choice_that_exists_is_taken():
    command.check_choice("tta", "d4", ("none", "d4"))
    with pytest.raises(ValueError, match="expected tta to be one of none, d4, but got d5"):
        command.check_choice("tta", "d5", ("none", "d4"))


def test_scores_are_printed_with_a_row_an_image_and_their_total(capsys):
    rows = [{"name": "slice_24", "v_rand": 0.91234}, {"name": "slice_25", "v_rand": 0.8}]
    command.print_scores({"scores": {"v_rand": 0.85617}, "per_image": rows})
    printed = capsys.readouterr().out
    for text in ("slice_24", "0.9123", "slice_25", "0.8000", "0.8562", "all"):
        assert text in printed
