"""The contract under damage: the whole product in processes of its own, broken while it is at work.

Here belongs what takes several processes, injected faults or chance. What one part does when its neighbour
fails is tested beside that part.
"""
