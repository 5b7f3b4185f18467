"""FROST(Ed25519, SHA-512) of RFC 9591: t of n people hold one key; pure arithmetic, unaudited."""
