"""Recipes for the demonstration calls and the practice dialogues; for developers, not in the wheel."""
