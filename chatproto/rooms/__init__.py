"""Rooms: members, roles, moderation, history and the raw-text lobby."""
