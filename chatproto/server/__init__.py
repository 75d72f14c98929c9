"""One server: its port, its service, its terminal."""
