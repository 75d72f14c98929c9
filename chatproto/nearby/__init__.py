"""Find peers on the local network by beacons, without a server."""
