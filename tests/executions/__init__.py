"""Executions through the API: exact ends, streams, input, terminals, cancellation."""
