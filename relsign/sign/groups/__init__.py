"""A shared key at work: one participant's part of every ceremony, on one machine."""
