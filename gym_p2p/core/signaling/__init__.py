"""Offer, answer and candidates: roles, glare and filters."""
