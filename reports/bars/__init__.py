"""The recovery bars: what the platform finds of what was planted, and what it finds where nothing was."""
