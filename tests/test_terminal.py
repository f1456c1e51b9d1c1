"""Tables of scores: columns that fit, columns that do not, and harmless names."""

import re

import pytest
from rich.cells import cell_len

from src import terminal
from src.files.whole import spreadsheet_safe


def cells(printed: str) -> list[list[str]]:
    """The cells of a table, a list a line, without lines of the frame."""
    lines = printed.replace("┃", "│").splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


def test_a_ranking_is_printed_with_a_row_a_point(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    first = {"v_rand": 0.75, "pixel_error": 0.000353, "iou_class_1": 0.1, "iou_per_image": 0.2}
    shared = {"directory": "a", "monitor": "v_rand"}
    terminal.print_ranking(
        [
            shared | {"overrides": ["seed=1", "data.root=[x]"], "validation": 0.5, "scores": first, "seconds": 90.0},
            shared | {"overrides": ["seed=2"], "validation": None, "scores": {"v_rand": None}, "seconds": 0.0},
            shared | {"overrides": ["seed=3"], "validation": None, "scores": None, "seconds": None},
        ]
    )
    assert cells(capsys.readouterr().out) == [
        ["", "choices", "validation v_rand", "minutes", "held-out v_rand", "held-out pixel_error"],
        ["1", "seed=1 data.root=[x]", "0.5000", "1.5", "0.7500", "0.000353"],
        ["2", "seed=2", "–", "0.0", "–", "–"],
        ["3", "seed=3", "–", "unfinished", "–", "–"],
    ]


@pytest.fixture
def printed(capsys, monkeypatch):
    """Print scores on a narrow terminal: → a list of cells a line."""
    monkeypatch.setenv("COLUMNS", "60")

    def call(scores: dict, per_image: list[dict]) -> list[list[str]]:
        terminal.print_scores({"scores": scores, "per_image": per_image}, next(iter(scores)), "max")
        return cells(capsys.readouterr().out)

    return call


def test_scores_are_printed_with_a_row_an_image_and_their_total(printed):
    rows = [
        {"name": "slice_24", "v_rand": 0.91234, "pixel_error": 0.0},
        {"name": "slice_25", "v_rand": 0.8, "pixel_error": 1.0},
    ]
    assert printed({"v_rand": 0.85617, "pixel_error": 0.5}, rows) == [
        ["image", "v_rand", "pixel_error"],
        ["slice_24", "0.9123", "0.0000"],
        ["slice_25", "0.8000", "1.0000"],
        ["all", "0.8562", "0.5000"],
    ]


def test_what_an_image_lacks_is_a_dash(printed):
    rows = [{"name": "a", "ap": float("nan"), "pq": 0.5}, {"name": "b", "ap": None}]
    assert printed({"ap": float("nan"), "pq": 0.5}, rows)[1:] == [
        ["a", "–", "0.5000"],
        ["b", "–", "–"],
        ["all", "–", "0.5000"],
    ]


def test_the_mean_of_images_and_each_class_have_rows_of_their_own(printed):
    scores = {"iou": 0.5, "dice": 0.6, "iou_class_0": 0.1, "iou_class_10": 0.2, "iou_class_2": 0.3, "dice_class_0": 0.4}
    row = {"name": "a", "iou": 0.5, "dice": 0.6, "iou_class_0": 0.1}
    assert printed(scores | {"iou_per_image": 0.7, "dice_per_image": 0.8}, [row]) == [
        ["image", "iou", "dice"],
        ["a", "0.5000", "0.6000"],
        ["all", "0.5000", "0.6000"],
        ["mean of images", "0.7000", "0.8000"],
        ["class", "iou", "dice"],
        ["0", "0.1000", "0.4000"],
        ["2", "0.3000", "–"],
        ["10", "0.2000", "–"],
    ]


def test_counts_are_printed_as_integers(printed):
    assert printed({"ap": 1.0, "splits": 12}, [{"name": "a", "ap": 1.0, "splits": 0}])[1:] == [
        ["a", "1.0000", "0"],
        ["all", "1.0000", "12"],
    ]


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.000353, "0.000353"),
        (0.001, "0.001000"),
        (0.01, "0.0100"),
        (-0.0004, "-0.000400"),
        (-0.5, "-0.5000"),
        (0.0, "0.0000"),
    ],
)
def test_a_small_number_keeps_its_digits(score, expected, printed):
    assert printed({"warping_error": score}, [])[-1] == ["all", expected]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_what_does_not_fit_is_left_out_and_named(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    names = [f"score_{number}" for number in range(12)]
    long = "a long name of a micrograph from which no letter is missing 현미경 그림"
    scores = {"scores": dict.fromkeys(names, 0.5), "per_image": [{"name": long, **dict.fromkeys(names, 0.000353)}]}
    terminal.print_scores(scores, "score_11", "max")
    printed = capsys.readouterr().out
    assert max(map(cell_len, printed.splitlines())) <= width
    header, row, total = cells(printed)
    assert header[:2] == ["image", "score_11"] and "…" in row[0] and row[0].startswith("a long name")
    assert row[1:] == ["0.000353"] * (len(header) - 1) and total == ["all", *["0.500000"] * (len(header) - 1)]
    named = printed.partition("columns that do not fit: ")[2].replace("\n", " ").replace(",", "").split()
    assert header[1:] + named == ["score_11", *names[:-1]]


def test_of_very_many_images_the_worst_are_shown(capsys):
    rows = [{"name": f"image_{number}", "f1": number / 100} for number in range(99)]
    terminal.print_scores({"scores": {"f1": 0.5}, "per_image": rows}, "f1", "max")
    printed = capsys.readouterr().out
    assert [row[0] for row in cells(printed)[1:-1]] == [f"image_{number}" for number in range(30)]
    assert "shown are the 30 worst of 99 images by f1" in printed


def test_choices_of_a_sweep_take_several_lines(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    overrides = [f"data.source.option_{number}={number}" for number in range(4)]
    row = {"directory": "a", "monitor": "iou", "overrides": overrides, "validation": 0.5, "scores": {}, "seconds": 6.0}
    terminal.print_ranking([row])
    printed = capsys.readouterr().out
    assert max(map(cell_len, printed.splitlines())) <= 70
    assert " ".join(line[1] for line in cells(printed)[1:]) == " ".join(overrides)


def test_names_steer_neither_terminal_nor_spreadsheet(run_command, tmp_path):
    evil = tmp_path / "=a\x1b[2J\u202e"
    evil.mkdir()
    (evil / "b\x07.tif").write_text("no image")
    status, printed, error = run_command("score", f"truth={evil}", f"prediction={tmp_path}")
    assert status == 1 and "\\x1b[2J" in error and "\\u202e" in error
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", printed + error)
    assert [spreadsheet_safe(name) for name in ("=1+1", "+a", "@a", "a=1", "", 3)] == [
        *("'=1+1", "'+a", "'@a", "a=1", "", 3)
    ]
