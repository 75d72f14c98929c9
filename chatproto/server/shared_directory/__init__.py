"""Directory that several servers share: decided here by the rules of one server, committed to a store."""
