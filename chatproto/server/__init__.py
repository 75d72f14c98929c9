"""Server: its ports, connections, work queue and operator terminal."""
