"""Root and layout in the making: from policy, roster and recipe to what owners sign."""
