"""Pure rules of the product: facts in, states and effects out. No clock, chance or I/O: they come in as arguments."""
