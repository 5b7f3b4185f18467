"""The parts of `relsign build`: who signs, what is built, what is left in the release folder."""
