"""Programs that ours is measured beside."""
