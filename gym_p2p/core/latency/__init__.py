"""Round trips to statistics, and the reading of W3C statistics reports."""
