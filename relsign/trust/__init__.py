"""What a person who downloads keeps and does: pins, memory, refresh, get, verify."""
