"""Fixtures of the laboratory's own tests."""

from tests.lab.fixtures import lab_possible, make_lab

__all__ = ["lab_possible", "make_lab"]
