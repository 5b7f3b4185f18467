"""A whole release for practice: throw-away people and keys, in a folder of its own."""
