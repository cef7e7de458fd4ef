"""Distributed decisions, without I/O: who is alive, who owns what, who has which copy."""
