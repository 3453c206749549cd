"""One match: peers, handshake, exchange of inputs, membership, checksums and events."""
