"""Standard input and output that never block and never grow."""
