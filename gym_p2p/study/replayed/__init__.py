"""Recordings played again: observations beside the frames, and datasets for learners."""
