"""Authenticate users: passwords through twisted.cred, and keys that need no password."""
