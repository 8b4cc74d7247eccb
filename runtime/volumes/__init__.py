"""Volumes: folders that outlive sandboxes and can be mounted into several of them. No HTTP here."""
