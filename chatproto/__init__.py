"""Direct chat for a terminal: a server introduces people and gets out of the way."""
