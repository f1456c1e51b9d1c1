"""What is used of Lightning although its documentation does not promise it."""

import lightning


def leave_signals(trainer: lightning.Trainer) -> lightning.Trainer:
    """Keep a trainer from taking signals for itself, so that those of `src.signals` are heeded in all its phases.

    Lightning would answer SIGTERM by ending a run as if it were finished, and would talk to other processes in the
    middle of whatever a signal interrupts.
    """
    trainer._signal_connector.register_signal_handlers = lambda: None
    return trainer
