"""Client-side caches kept right: who has read what, and who is told that it has changed."""
