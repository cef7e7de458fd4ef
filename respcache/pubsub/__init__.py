"""Publish and subscribe: who listens to what in the cluster, and what each of them gets. Pure."""
