"""Everything a build starts from: resolved, locked, fetched, checked by digest."""
