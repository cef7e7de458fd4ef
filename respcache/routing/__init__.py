"""Commands on their way to the nodes that own their keys, and replies on their way back."""
