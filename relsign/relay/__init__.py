"""The relay: a server that carries ceremony messages between members and knows no secret."""
