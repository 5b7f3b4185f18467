"""Reproducible builds, threshold release signing, and the verifier for both.

The folder list is the life of a release; see docs/design.md.
"""

__version__ = "0.1.0"
