"""Sockets and event loops: everything here drives a machine that lives elsewhere."""
