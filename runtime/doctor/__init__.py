"""`runtime doctor`: what this machine gives to sandboxes, and how to mend what it lacks. Changes nothing."""
