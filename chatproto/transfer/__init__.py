"""Transfer files between two peers."""
