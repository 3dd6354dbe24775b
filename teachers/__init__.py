"""Models behind OpenAI-compatible endpoints, and the one `ask` that everything else is handed."""
