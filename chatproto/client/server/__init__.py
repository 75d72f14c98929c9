"""Our side of a server: registration, queries, and messages that the server pushes."""
