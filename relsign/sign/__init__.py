"""Signers' machines: back ends that hold a key, and the ceremonies they take part in."""
