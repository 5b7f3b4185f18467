"""Where releases are published: one file per kind of place."""
