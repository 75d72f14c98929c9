"""Register clients, list them and introduce them to each other; classic and keyed."""
