"""Who is nearby: people on the same network who tell it, found without a server."""
