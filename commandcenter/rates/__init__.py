"""How much a key, a project or an address may ask for in a while, counted over all web processes.

What an operation costs is measured in web/graphql; what a project may have is in commandcenter/projects.
"""
