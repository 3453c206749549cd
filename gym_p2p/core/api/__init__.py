"""What clients and the service say to each other, as typed values."""
