"""Digests, keys, signatures, thresholds: pure, bytes and values only."""
