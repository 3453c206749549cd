"""Some tests of the network run over the laboratory's paths."""

from tests.lab.fixtures import lab_possible, make_lab

__all__ = ["lab_possible", "make_lab"]
