"""Parts that every connection needs, whatever is spoken on it; every feature may import them."""
