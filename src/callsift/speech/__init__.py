"""From samples to speech, turns and segments."""
