"""User interface: commands, and events as text or JSON."""
