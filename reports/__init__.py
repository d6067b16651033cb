"""The reports room: WHAT the quarter says. Reviews, verdicts, figures and pages."""
