"""Truth along a text: what a word's neighbours say of it."""
