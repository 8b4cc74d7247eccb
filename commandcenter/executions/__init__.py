"""Executions: commands in sandboxes, from their start to a seen end."""
