"""Rooms that this client has joined: membership, messages, commands, and the outbox."""
