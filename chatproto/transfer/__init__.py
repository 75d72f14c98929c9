"""Files between two people."""
