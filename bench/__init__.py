"""Programs that each print one comparison."""
