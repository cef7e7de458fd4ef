"""The one path that every command takes, on data that this node serves."""
