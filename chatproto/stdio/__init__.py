"""Standard input and output without blocking, with bounded buffers."""
