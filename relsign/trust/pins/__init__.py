"""What a person who verifies keeps: pins, memory, and a policy of their own."""
