"""What a link is, what drives a machine over links, and links in memory or worsened."""
