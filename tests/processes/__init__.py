"""How the processes are started, watched and stopped."""
