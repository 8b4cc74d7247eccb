"""Prometheus metrics.

What is measured is called from the processes; the domain only emits numbers.
"""
