"""No direct way: two people who cannot reach each other meet in a pipe of the server's."""
