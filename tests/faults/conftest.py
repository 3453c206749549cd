"""Runs of the bench need the laboratory."""

from tests.lab.fixtures import lab_possible

__all__ = ["lab_possible"]
