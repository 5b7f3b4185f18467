"""From a recipe to a fingerprint: sources, environment, container, comparison."""
