"""What a process of ours may take that works on what somebody else has made."""

from __future__ import annotations

__all__ = ["limit_memory"]


def limit_memory(size_bytes: int) -> None:
    """Have this process run out of memory at so much of its own; not everywhere is there such a limit."""
    try:
        import resource  # noqa: PLC0415 - not on every platform

        resource.setrlimit(resource.RLIMIT_DATA, (size_bytes, size_bytes))
    except (ImportError, ValueError, OSError):  # the platform has none, or a stricter limit is set
        return
