"""Identity: keys, pins, names, TLS settings, and the safety number that two users compare."""
