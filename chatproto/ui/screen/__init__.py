"""Full-screen interface: a prompt, a status line, and the terminal's own scrollback above them."""
