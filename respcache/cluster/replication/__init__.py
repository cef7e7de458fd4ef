"""Copies: effects to replicas, acks back, copies in the making, and new primaries."""
