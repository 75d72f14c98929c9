"""Calls of the client: placing, taking, carrying and redialling them."""
