"""People's side of the farm: the HTTP service and the `farm` command."""
