"""The verbs: one function and one decorator line a command, one module a family."""
