"""The domain: sandboxes, executions, logs, files, access, events.

It knows no GraphQL, no HTTP server and no queue.
"""
