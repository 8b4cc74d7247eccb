"""Every method of E2B's public Python SDK, once as people call it; also run with an older SDK.

Nothing here imports what the older SDK's environment doesn't have: see `test_older_sdk.py`.
"""
