"""The IRC face: any IRC client on the same machine can use this client (docs/irc.md)."""
