"""Many programs and their server in one process, on a network and a time that one seed decides."""
