"""The engine: trains one small network on one shot and fills the hole. Start at ``inpaint.py``.

It sees the working range only (``working.py``): no files but its checkpoints, no light, no colour.
"""
