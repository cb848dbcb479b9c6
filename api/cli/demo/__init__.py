"""`farm demo`: the whole farm in minutes, told in words."""
