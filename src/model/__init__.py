"""The network, its training step and its checkpoints."""
