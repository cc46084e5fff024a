"""Networks for pictures: our own, the bodies of others, heads, and weights."""
