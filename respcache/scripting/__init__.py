"""Lua scripts: kept by their digests, run in a sandbox, their replies turned into ours and back."""
