"""What the tables' columns mean; needs nothing that is not installed with the package."""
