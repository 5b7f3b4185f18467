"""Building again under other conditions, and naming the condition that shows."""
