"""The wire: bytes to requests, values to bytes. Pure."""
