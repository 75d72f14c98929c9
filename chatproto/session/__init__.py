"""Sessions: one conversation with one peer, its messages, and the path to the peer."""
