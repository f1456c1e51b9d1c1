"""Signals that arrive when a certain function begins, in every phase of every command."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The functions in which a command is struck, in the order in which they begin.
TRAIN = (
    *("main", "check_numbers", "parts", "before_training", "open_run", "train", "only_writer"),
    *("SliceData.setup", "Environment.on_fit_start", "SliceData.patches", "WeightMap.cached", "complete_file"),
    *("LastCheckpoint.on_train_start", "Patches.__getitem__", "Segmenter.training_step", "Segmenter.validation_step"),
    *("BestCheckpoint.on_validation_end", "LastCheckpoint._save", "write", "digest", "LastCheckpoint.on_train_end"),
    *("LastCheckpoint.on_fit_end", "restore", "Segmenter.predict_step", "Contest.choose", "keep"),
    *("HeldOut.on_test_start", "Segmenter.test_step", "write_prediction"),
    *("HeldOut.on_test_end", "remove_previous_checkpoint", "show_run", "write_page", "render", "print_scores"),
)
PREDICT = (
    *("main", "restore", "input_files", "open_together", "recipes", "Store._create", "fill", "Predictor.__call__"),
    *("Store.write", "write_results", "Store.finish", "Store._pages", "drop"),
)
SCORE = ("main", "match", "comparisons", "Evaluator.update", "Scoring._panels", "print_scores", "write_rows", "render")
REPORT = ("main", "write_page", "drawn_curves", "render", "print_scores")
CHECK = ("main", "summary", "fingerprint", "inspect_folder", "lines")
PREVIEW = ("main", "SliceData.setup", "tiles_figure", "render")
SWEEP = ("check_numbers", "open_run", "Segmenter.training_step", "Segmenter.test_step", "ranking", "write_ranking")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


@contextmanager
def sent(number: int, function: str, count: int = 1) -> Iterator[list[int]]:
    """Send this process a signal when a function of the project begins for the ``count``-th time.

    Args:
        number: of the signal.
        function: its qualified name.
        count: of the call.

    Yields:
        A list that holds the number as soon as the signal has been sent.
    """
    done, calls = [], 0

    def hook(frame, event, argument):
        nonlocal calls
        if event == "call" and frame.f_code.co_qualname == function and "/src/" in frame.f_code.co_filename:
            calls += 1
            if calls == count:
                sys.setprofile(None)
                done.append(number)
                os.kill(os.getpid(), number)

    sys.setprofile(hook)
    try:
        yield done
    finally:
        sys.setprofile(None)
