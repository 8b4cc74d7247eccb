"""What bounds a sandbox's files on disk: a file system of its own where we may mount one, else a watch."""
