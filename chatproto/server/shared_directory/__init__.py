"""Directory that several servers share: each decides its clients' requests and commits them to a store."""
