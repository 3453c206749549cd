"""Arrow tables, and the ways out of them."""
