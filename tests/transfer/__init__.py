"""Tests of files between two people."""
