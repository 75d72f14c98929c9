"""Encode and decode the messages of the protocol, as immutable values."""
