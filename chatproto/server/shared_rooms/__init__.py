"""Rooms that several servers share: requests are decided here, committed to a store, and told by events."""
