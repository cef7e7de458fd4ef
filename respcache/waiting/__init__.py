"""Commands that wait for keys: where their clients are, and where the keys are."""
