"""Strategies, estimates, tickets, the planner, the queues and the decision log."""
