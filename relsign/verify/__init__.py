"""The whole trust decision, pure: bytes and values in, a verdict out.

Nothing here can reach a file, a clock, the network or a process.
"""
