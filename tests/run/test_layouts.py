"""Files of a run directory are accepted or refused by the fields that are read from them."""

import pytest
from pydantic import ValidationError

from src.run.layouts import Facts, Judged, Places, Planned, Scores

SCORES = {"scores": {"v_rand": 0.9}, "per_image": [{"name": "a", "v_rand": None}], "threshold": 0.5, "seconds": 1.5}
JUDGED = {"overrides": [], "monitor": "v_rand", "monitor_mode": "max"}
FACTS = {"packages": {"torch": "2.13.0"}, "data_hash": "0" * 64, "precision": "32-true"}


@pytest.mark.parametrize(
    ("layout", "content"),
    [
        (Scores, SCORES),
        (Scores, SCORES | {"diagnosis": ["blank"], "steps": 5, "more": 3}),
        (Judged, JUDGED | {"trainer": {"max_steps": 5}}),
        (Planned, {}),
        (Facts, FACTS),
        (Places, {"a": [["merged", 3, 4]]}),
    ],
)
def test_what_our_commands_write_is_taken(layout, content):
    layout.model_validate(content)


@pytest.mark.parametrize(
    ("layout", "content"),
    [
        (Scores, SCORES | {"scores": {}}),
        (Scores, SCORES | {"per_image": [{"v_rand": 0.5}]}),
        (Scores, SCORES | {"threshold": "0.5"}),
        (Scores, SCORES | {"seconds": float("inf")}),
        (Judged, JUDGED | {"monitor_mode": "most"}),
        (Judged, JUDGED | {"trainer": {"max_steps": "5"}}),
        (Facts, FACTS | {"data_hash": "0" * 63}),
        (Facts, FACTS | {"precision": ["32"]}),
        (Places, {"a": [["merged", 3]]}),
    ],
)
def test_anything_else_is_refused(layout, content):
    with pytest.raises(ValidationError):
        layout.model_validate(content)
