"""Probes over real connections: one, and the manager of many."""
