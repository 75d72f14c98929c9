"""What twistd and the console scripts start."""
