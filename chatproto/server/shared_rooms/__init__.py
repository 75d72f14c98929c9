"""Rooms that several servers share: requests are committed to a store, and events notify the members."""
