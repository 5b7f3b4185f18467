"""Private keys and sealed secrets on this machine, and what opens them."""
