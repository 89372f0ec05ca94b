"""Work on one item at a time in processes of its own: what crashes, hangs or eats the memory costs its item alone.

A native library (decoder, speech recognition, network) can end its process or never come back, and nothing in Python
can catch that. So the work is done in worker processes, and this one only hands out items and collects answers. It
knows which item each worker holds; a worker that dies or overruns its time is killed with its process group and
replaced. An item whose worker died after other items, or for lack of memory, is tried once more, alone and in a
fresh worker, since the cause may have been what the others left behind.

Workers are fresh interpreters, not forks: a fork of a process with threads may deadlock, and this way the parent
needs none of what the workers load. They don't import the caller's `__main__`, get no Ctrl-C from the terminal, and
die with their parent however it ends (Linux: prctl; elsewhere when they next look at their pipe).
"""

from callsift.isolation.lost import Lost
from callsift.isolation.workers import Workers

__all__ = ["Lost", "Workers"]
