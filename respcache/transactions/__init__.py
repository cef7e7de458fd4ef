"""Commands that are run as one, on keys of one owner or of several."""
