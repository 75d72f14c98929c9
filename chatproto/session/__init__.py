"""One conversation between two people."""
