"""Where a private key lives: one file per kind, one interface for all.

The back ends do not know each other.  Each signs the bytes it is given: what
those bytes are is decided, rebuilt and shown by its callers, from typed requests.
"""
