"""What clients and the service send each other, as typed values."""
