"""Every document: untrusted bytes in, frozen values out, one byte string back.

Nothing here knows a key or a disk.  One file per document; `canonical` holds
the three encodings they share.
"""
