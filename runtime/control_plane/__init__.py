"""What E2B's clients ask about sandboxes: create, list, find, pause, end. HTTP in front of `runtime.host`."""
