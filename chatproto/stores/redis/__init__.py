"""Store in Redis what several servers share: the directory, rooms and accounts."""
