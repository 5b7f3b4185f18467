"""What a publication says today: roots and releases, by a TUF client."""
