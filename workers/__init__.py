"""arq: settings, jobs and schedules.

What a job does belongs in commandcenter/.
"""
