"""What E2B's clients ask of a sandbox itself: processes, files, health. HTTP in front of `runtime.host`."""
