"""Who holds which partition: where copies should be, who has them, and how that is agreed."""
