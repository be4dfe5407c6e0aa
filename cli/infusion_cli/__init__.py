"""The ``infusion`` command: one file a verb, each of them options → Job → one call."""
