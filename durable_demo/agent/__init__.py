"""The agent's parts that know nothing of Temporal: models that answer, tools that look things up, and their data."""
