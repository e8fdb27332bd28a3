// Low-rank adapters.
