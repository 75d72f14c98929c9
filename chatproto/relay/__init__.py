"""Relay through the server an encrypted stream between two clients without a direct path."""
