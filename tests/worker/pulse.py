"""What a stage tells of its progress: the seam that `worker.heartbeat.Heartbeat` is."""

from contextlib import contextmanager


class Pulse:
    """Notes progress, and for how long the lease is kept without any."""

    def __init__(self):
        self.beats = []
        self.patience_s = 0

    def progress(self, done, total):
        self.beats.append((done, total))

    def tick(self):
        """Note nothing: no unit is finished."""

    @contextmanager
    def patience(self, seconds):
        self.patience_s = seconds
        yield
        self.patience_s = 0
