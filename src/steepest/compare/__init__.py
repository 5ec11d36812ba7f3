"""Comparison: which method is better, how sure that is, and what it would take to know."""
