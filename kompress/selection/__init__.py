"""Which documents a round labels, what they tell of the corpus, and when to stop."""
