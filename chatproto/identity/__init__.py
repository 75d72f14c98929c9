"""Who somebody is: keys, pins, TLS between people, and the number that two of them compare."""
