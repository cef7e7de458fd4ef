"""Grafana boards: `overview` and so on say what is on them, `generate` writes the JSON files."""
