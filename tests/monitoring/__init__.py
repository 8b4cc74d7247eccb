"""What Prometheus is shown is what happened, whichever process is asked."""
