"""Who is where: registering, pairing and listing."""
