"""Bytes to frozen messages and back: the whole protocol and nothing else."""
