"""Store registrations, ids, rooms and conversations: in memory, in SQLite or in Redis."""
