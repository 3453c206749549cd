"""Some tests of the network run over the laboratory's paths; none leaves a failure unnoticed."""

from collections.abc import Iterator

import pytest

from tests.complaints import no_complaints
from tests.lab.fixtures import lab_possible, make_lab

__all__ = ["lab_possible", "make_lab"]


@pytest.fixture(autouse=True)
def _nothing_unnoticed() -> Iterator[None]:
    """Take every "Task exception was never retrieved" for an error, whatever has failed."""
    with no_complaints():
        yield
