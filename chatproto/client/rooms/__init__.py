"""The rooms that we are in: membership, what is said and asked there, the outbox of each."""
