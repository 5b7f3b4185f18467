"""Reading and writing archives strictly: what may stand in one, and where it may land."""
