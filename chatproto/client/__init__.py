"""One user's program: its own port, its calls, its conversations."""
