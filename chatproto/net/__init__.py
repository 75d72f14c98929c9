"""Parts of connections that do not depend on the protocol; every feature may import them."""
