"""The sandbox seen from inside: which knobs are in force, and what still shows."""
