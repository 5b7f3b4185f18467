"""What a signer is shown before signing: what is new, and what the gate will say."""
