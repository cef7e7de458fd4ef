"""Values in the format in which Redis writes them to disk, DUMP gives them and RESTORE takes them. Pure."""
