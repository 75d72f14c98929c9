"""Our side of a server: registration, queries, and news that the server pushes."""
