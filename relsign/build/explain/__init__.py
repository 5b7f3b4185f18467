"""Two files that should be the same: where they differ, why, and what to do about it."""
