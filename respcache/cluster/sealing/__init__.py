"""Keeps outsiders out: what nodes say to each other is sealed with keys that only they have. Pure."""
