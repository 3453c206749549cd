"""Documents of matches as tables, a report and datasets: what a study makes of what was played."""
