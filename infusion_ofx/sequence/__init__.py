"""Sequences of pictures: names, headers, and pixels that come back as they were.

``ranges``, ``pattern``, ``listing`` and ``files`` turn what a user writes into files by frame and
touch no pixel; ``source`` looks at files before they are believed; ``frame`` holds what a header
says; ``exr``, ``dpx``, ``png``, ``tiff`` and ``jpeg``
read and rewrite one frame, ``formats`` chooses between them; ``store`` opens whole sequences and
puts files in their place; ``queues`` runs both beside the computation. Nothing is imported here, so
that ``infusion_ofx.sequence.pattern`` needs the standard library only.
"""
