"""Finding the mistake in a refuted claim: spelling, chains, pieces, families of edits, search."""
