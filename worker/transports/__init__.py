"""How requests reach a language model and its answers come back."""
