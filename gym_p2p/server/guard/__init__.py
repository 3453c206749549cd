"""Who may do what, and how often: tokens, limits, frames and metrics."""
