"""Merkle trees of RFC 6962: the two proofs a log gives, checked by recomputing roots.

An inclusion proof shows that an entry stands at its index in a tree; a consistency
proof shows that a tree only grew out of an older one.  The order of hashing follows
from index and sizes alone, so a proof has one length and no freedom.

    >>> verify_inclusion_proof(leaf_hash(b"only"), 0, 1, (), leaf_hash(b"only"))
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from relsign.errors import VerificationError

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without entries (RFC 6962, 2.1)."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry, 32 bytes (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees, 32 bytes (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def verify_inclusion_proof(
    leaf: bytes, index: int, size: int, hashes: Sequence[bytes], root: bytes
) -> None:
    """Check that `leaf`, a leaf hash, stands at `index` of the tree of `size` with `root`.

    `hashes` go from the leaf's sibling up.  Raises VerificationError if the proof
    does not hold; an empty tree holds nothing (RFC 9162, 2.1.3.2).
    """
    if not 0 <= index < size:
        raise VerificationError(
            "no such entry in the log", expected=f"an index below {size}", got=str(index)
        )
    place, last, made = index, size - 1, leaf
    for each in hashes:
        if not last:
            raise VerificationError("the inclusion proof is too long")
        if place & 1 or place == last:
            made = node_hash(each, made)
            place, last = _climb(place, last)
        else:
            made = node_hash(made, each)
        place, last = place >> 1, last >> 1
    if last:
        raise VerificationError("the inclusion proof is too short")
    if made != root:
        raise VerificationError(
            "the inclusion proof does not hold", expected=root.hex(), got=made.hex()
        )


def verify_consistency_proof(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, hashes: Sequence[bytes]
) -> None:
    """Check that the tree of `new_size` begins with the tree of `old_size`.

    Two trees of one size are consistent if their roots are equal, and take no
    proof.  The empty tree is the beginning of every tree and takes no proof either;
    its root must be the empty root, for any other is no tree's.  Raises
    VerificationError if the proof does not hold (RFC 9162, 2.1.4.2).
    """
    if not 0 <= old_size <= new_size:
        raise VerificationError(
            "the log went back", expected=f"at least {old_size} entries", got=str(new_size)
        )
    for size, root in ((old_size, old_root), (new_size, new_root)):
        if size == 0 and root != EMPTY_ROOT:
            raise VerificationError(
                "an empty log with another root", expected=EMPTY_ROOT.hex(), got=root.hex()
            )
    if old_size == new_size and old_root != new_root:
        raise VerificationError(
            "two histories of one size", expected=old_root.hex(), got=new_root.hex()
        )
    if old_size in {0, new_size}:
        if hashes:
            raise VerificationError("a consistency proof where none can be")
        return
    made_old, made_new = _grow(old_size, new_size, old_root, hashes)
    if (made_old, made_new) != (old_root, new_root):
        raise VerificationError(
            "the consistency proof does not hold", expected=new_root.hex(), got=made_new.hex()
        )


def _grow(
    old_size: int, new_size: int, old_root: bytes, hashes: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Return the roots of both trees as a proof makes them, for 0 < old < new."""
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    # A complete old tree is a node of the new one, so the proof leaves its root out.
    path = list(hashes) if place else [old_root, *hashes]
    if not path:
        raise VerificationError("the consistency proof is too short")
    made_old = made_new = path[0]
    for each in path[1:]:
        if not last:
            raise VerificationError("the consistency proof is too long")
        if place & 1 or place == last:
            made_old, made_new = node_hash(each, made_old), node_hash(each, made_new)
            place, last = _climb(place, last)
        else:
            made_new = node_hash(made_new, each)
        place, last = place >> 1, last >> 1
    if last:
        raise VerificationError("the consistency proof is too short")
    return made_old, made_new


def _climb(place: int, last: int) -> tuple[int, int]:
    """Return the place in the first level above where this node is a right child, or the root.

    On the right edge a subtree without a sibling is handed up unchanged.
    """
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last
