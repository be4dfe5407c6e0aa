"""Sequences of pictures: names, headers, and pixels that come back as they were.

``pattern`` turns names into frames and back and touches no pixel; ``frame`` holds what a header
says; ``exr`` and ``dpx`` read and rewrite one frame; ``store`` opens whole sequences and puts files
in their place; ``queues`` runs both beside the computation. Nothing is imported here, so that
``infusion_ofx.sequence.pattern`` needs the standard library only.
"""
