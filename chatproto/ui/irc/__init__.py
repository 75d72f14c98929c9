"""The IRC face: any IRC client on the same machine shows what this client has (docs/irc.md)."""
