"""Calls of the client: dial, answer, carry and redial them."""
