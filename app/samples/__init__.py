"""Log -> samples: for each exposure the history strictly before it; then tensors of `models.batch`."""
