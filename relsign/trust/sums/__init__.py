"""Other people's signed manifests: a tree of them, from disk to a report."""
