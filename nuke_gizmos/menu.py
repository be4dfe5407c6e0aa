"""Run by Nuke at the start of its interface: the menu's entry, and jobs found again on opening."""

import nuke


def _adopt() -> None:
    import infusion_poll

    infusion_poll.begin()


nuke.menu("Nodes").addCommand("Infusion/Infusion", "nuke.createNode('Infusion')")
nuke.addOnScriptLoad(_adopt)
