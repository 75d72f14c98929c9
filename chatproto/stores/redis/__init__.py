"""Keep in Redis what several servers share: the connection, and the log of all changes."""
