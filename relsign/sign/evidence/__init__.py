"""What a builder signs of a build, and what is taken over from other builders."""
