"""How many bytes one may have. Times are monotonic seconds, passed in."""

from __future__ import annotations

__all__ = ["Bucket"]


class Bucket:
    """A rate, and how much may come at once."""

    def __init__(self, bytes_per_s: int, burst_bytes: int) -> None:
        self._bytes_per_s = bytes_per_s
        self._burst_s = burst_bytes / bytes_per_s
        self._paid_until = 0.0

    def takes_at(self, size_bytes: int) -> float:
        """Return from when on so much more is within the rate, if nothing is taken before."""
        return self._paid_until + size_bytes / self._bytes_per_s - self._burst_s

    def left(self, now: float) -> float:
        """Return how much is within the rate at once."""
        return (self._burst_s - max(0.0, self._paid_until - now)) * self._bytes_per_s

    def has(self, size_bytes: int, now: float) -> bool:
        """Whether so much more is within the rate; nothing is taken off."""
        return size_bytes / self._bytes_per_s <= self._burst_s and self.takes_at(size_bytes) <= now

    def takes(self, size_bytes: int, now: float) -> bool:
        """Whether so much more is within the rate; it is then taken off."""
        # As has and take_off do it, at once: every game message asks.
        takes_s = size_bytes / self._bytes_per_s
        if takes_s > self._burst_s or self._paid_until + takes_s - self._burst_s > now:
            return False
        self._paid_until = max(self._paid_until, now) + takes_s
        return True

    def take_off(self, size_bytes: int, now: float) -> None:
        """Take so much off, whether it is within the rate or not."""
        self._paid_until = max(self._paid_until, now) + size_bytes / self._bytes_per_s
