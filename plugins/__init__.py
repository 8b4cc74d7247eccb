"""The bundled modules (research, hypothesis, billing), each a package as a stranger would write it.

They use public names only.
"""
