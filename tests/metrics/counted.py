"""Counts of a metric, summed image by image in the precision of the sums of processes."""

import numpy as np


class Counted:
    """A metric with its sums."""

    def __init__(self, metric):
        self.metric, self.modes, self.sums = metric, metric.modes, dict(metric.nothing)

    def update(self, *stacks):
        """Add images: what the metric takes, each ``(N, H, W)``, and perhaps a threshold."""
        stacks = [np.asarray(stack) for stack in stacks]
        for place in range(len(stacks[0])):
            images = [stack[place] if stack.ndim else float(stack) for stack in stacks]
            if len(images) < len(self.metric.takes):
                images.append(np.ones(images[0].shape, bool))  # known everywhere
            self.add(self.metric.count(**dict(zip(self.metric.takes, images, strict=True))))

    def add(self, counts):
        assert counts.keys() == self.sums.keys()
        for name, count in counts.items():
            assert count.shape == self.sums[name].shape
            self.sums[name] = self.sums[name] + count.astype(self.sums[name].dtype)

    def merge_state(self, other):
        """Add what another process has counted."""
        self.add(other.sums)

    def compute(self):
        return {name: np.float64(score) for name, score in self.metric.scores(**self.sums).items()}
