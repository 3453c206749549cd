"""Seats for people who have nothing but a link: the host, and the process of every seat."""
