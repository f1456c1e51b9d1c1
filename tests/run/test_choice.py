"""At the end of a run the decoder is chosen, printed and kept, with the cost of each test-time augmentation."""

import json

import pytest

from src.instances import Auto, Components, Decoder, Distance, Membranes
from src.metrics.choosing import Choice
from src.model import archive
from src.restore import restore
from src.run import choice
from src.run.choice import Average, Chosen
from src.run.directory import checkpoint_file

CELLS = ("experiment=cells", "data=phantom", "data.source.size=64", "data.validation=20-21", "data.held_out=24")


def test_what_is_chosen_is_said_and_kept_in_the_checkpoint_that_is_scored(train):
    directory, status, printed, error = train(*CELLS, "page=false", "tta=d4", "~callbacks.samples")
    assert status == 0, error
    trained, scores = restore(checkpoint_file(directory, "best")), json.loads((directory / "scores.json").read_text())
    assert not isinstance(trained.decoder.numbering, Auto)
    assert (trained.tta, trained.precision) == ("d4", "32-true")
    tried = dict(trained.choices)
    assert trained.decoder.numbering in tried and {Components, Distance} < {type(way) for way in tried}
    best = max(max(ranks) for ranks in tried.values())
    assert max(tried[trained.decoder.numbering]) == pytest.approx(best)
    assert scores["validation"]["f1_50"] == pytest.approx(best)
    assert scores["tta"]["d4"] == pytest.approx(best) and scores["tta"].keys() == {"none", "rot7", "d4"}
    assert scores["threshold"] == trained.decoder.threshold
    assert scores["instances"]["name"] == type(trained.decoder.numbering).__name__.lower()
    averages = ("tta, f1_50 and time per image: none ", " · d4 (used) ", "src.predict uses d4; tta=none is ")
    assert all(said in printed for said in ("decoder ", *averages))


def test_the_checkpoint_from_which_a_run_goes_on_keeps_what_was_asked_for(train):
    directory, status, _, error = train(*CELLS, "page=false", "~callbacks.samples")
    assert status == 0, error
    last = archive.read(checkpoint_file(directory, "last"))
    assert last["hyper_parameters"]["instances"]["name"] == "auto" and "choices" not in last


def test_without_validation_slices_nothing_is_chosen(train):
    given = ("data.validation=''", "score=last", "page=false", "~callbacks.samples", "tta=rot7")
    directory, status, printed, error = train(*CELLS, *given)
    assert status == 0, error
    trained = restore(checkpoint_file(directory, "last"))
    assert trained.decoder == Decoder(Auto(None, 20, True).meanwhile, 0.5)
    assert trained.tta == "rot7" and trained.choices == ()
    assert "decoder" not in printed


def test_other_averages_are_chosen_anew_until_the_scores_are_written(train):
    directory, *_ = train(*CELLS, "page=false", "~callbacks.samples")
    (directory / "scores.json").unlink()
    _, status, _, error = train(*CELLS, "page=false", "~callbacks.samples", "tta=d4")
    assert status == 0, error
    trained = restore(checkpoint_file(directory, "best"))
    assert trained.tta == "d4" and len(trained.choices) > 10, "all are tried again, not what was chosen before"


AVERAGES = {"none": Average(0.9, 0.5), "rot7": Average(0.95, 5.0), "d4": Average(0.94, 4.0)}


def test_what_an_average_costs_is_said():
    tried = [Choice(Components(9), {0.5: 0.8, 0.6: 0.85}), Choice(Distance(1.0, min_size=9), {0.5: 0.9, 0.6: 0.95})]
    chosen = Chosen(Decoder(Distance(1.0, min_size=9), 0.6), {}, "ap50", "max", tried, AVERAGES)
    assert choice.described(chosen, "rot7") == [
        "decoder distance (depth 1.0, smoothing 1.0, probability, min_size 9) at threshold "
        "0.6: ap50 on the validation images components 0.8500 · distance 0.9500",
        "tta, ap50 and time per image: none 0.9000 in 0.50 s · rot7 (used) 0.9500 in 5.00 s · d4 0.9400 in 4.00 s",
        "src.predict uses rot7; tta=none is 10.0 times as fast, and ap50 changes by -0.0500",
    ]
    assert len(choice.described(chosen, "none")) == 2
    assert choice.described(Chosen(Decoder(Membranes(), 0.5), {}), "rot7") == []


def test_a_score_that_falls_is_said_with_its_sign():
    errors = {name: Average(1 - each.score, each.seconds) for name, each in AVERAGES.items()}
    tried = [Choice(Components(9), {0.5: 0.05})]
    chosen = Chosen(Decoder(Components(9), 0.5), {}, "rand_error", "min", tried, errors)
    assert choice.described(chosen, "rot7")[2].endswith("and rand_error changes by +0.0500")
