"""Two homes, a server outside, and routers of each kind between them."""
