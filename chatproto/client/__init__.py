"""Run one user's program: its port, its calls and its conversations."""
