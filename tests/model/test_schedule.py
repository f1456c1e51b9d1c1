"""The learning rate of each step while the score rises, after it has stopped rising, and in a resumed run."""

import pytest
import torch

from src.model.schedule import Plateau


def schedule(**options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    return Plateau(optimizer, **{"max_steps": 100, "every": 10, "warm_up": 4, "patience": 2} | options)


def rates(plateau, scores=(), until=None, since=0):
    """The learning rate of each step; each tenth step is followed by a validation with the next of ``scores``."""
    found, scores = [], iter(scores)
    for step in range(since, until or plateau.end):
        if step >= plateau.end:
            break
        found += plateau.get_last_lr()
        plateau.optimizer.step()
        plateau.step()
        if (step + 1) % plateau.every == 0 and (score := next(scores, None)) is not None:
            plateau.validated(score)
    return found


def test_the_rate_rises_stays_and_falls_at_the_end():
    found = rates(schedule())
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])
    assert found[4:81] == [1] * 77
    assert found[80:] == pytest.approx([1 - step / 20 for step in range(20)])
    assert len(found) == 100


def test_a_score_that_stops_rising_begins_a_cool_down_of_the_same_share():
    plateau = schedule(max_steps=1000)
    found = rates(plateau, [0.1, 0.2, 0.3, 0.3, 0.2])
    assert (
        plateau.cooling_from == 50 and plateau.end == 70
    )  # a fifth would be 12.5 steps, extended to the next validation
    assert len(found) == 70 and found[50:] == pytest.approx([1 - step / 20 for step in range(20)])


def test_what_still_rises_goes_on_until_it_must_end():
    plateau = schedule()
    found = rates(plateau, [0.1 * step for step in range(10)])
    assert (plateau.end, plateau.cooling_from, len(found)) == (100, 80, 100)


def test_the_cool_down_is_begun_once_and_ends_no_later_than_planned():
    plateau = schedule()
    rates(plateau, [1, 0, 0, 0, 0, 2, 0, 0])
    assert plateau.cooling_from == 30 and plateau.end == 40
    late = schedule()
    rates(late, [1, 2, 3, 4, 5, 6, 0, 0, 0])
    assert (late.cooling_from, late.end) == (80, 100)


def test_a_run_that_goes_on_from_its_state_has_the_same_rates():
    scores = [0.1, 0.3, 0.2, 0.3, 0.3]
    expected = rates(schedule(), scores)
    for step in (5, 10, 33, 40, 45):
        before = schedule()
        found = rates(before, scores[: step // 10], until=step)
        after = schedule()
        after.load_state_dict(before.state_dict())
        after.optimizer.load_state_dict(before.optimizer.state_dict())
        assert found + rates(after, scores[step // 10 :], since=step) == expected


def test_nothing_to_judge_by_counts_as_no_rise():
    plateau = schedule()
    rates(plateau, [-float("inf")] * 5)
    assert plateau.cooling_from == 20


@pytest.mark.parametrize(
    "options",
    [{"warm_up": -1}, {"patience": 0}, {"cool_down": 0.0}, {"cool_down": 1.0}],
    ids=lambda each: next(iter(each)),
)
def test_numbers_out_of_range_are_refused(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"expected scheduler.{name} .*, but got {value}; nearest valid: "):
        schedule(**options)
