"""Figures of the runtime alone, by E2B's SDK and by plain HTTP, beside what the machine itself can do."""
