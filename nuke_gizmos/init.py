"""Run by Nuke at every start, on the farm too. Nothing is done: a finished job is plain files that
Nuke's own nodes read, and the code of the buttons is loaded by the first press."""
