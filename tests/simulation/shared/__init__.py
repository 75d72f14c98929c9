"""Several servers over one Redis, in simulated time: the real scripts, and a network that breaks."""
