# Evaluates knob texts and expressions as Nuke does, with Tcl itself.
#   tclsh evaluate.tcl < REQUEST   REQUEST: a Tcl list {kind text values}; kind: text or number
# values: a dictionary of what [value NAME] gives; connected inputs are there under exists.NAME.
fconfigure stdin -encoding utf-8
fconfigure stdout -encoding utf-8
lassign [read stdin] kind source values
proc value {name} {
    if {![dict exists $::values $name]} { error "value: there is no $name" }
    set raw [dict get $::values $name]
    return [subst -novariables $raw]
}
proc exists {name} { return [dict exists $::values exists.$name] }
set gui [expr {[dict exists $values gui] ? [dict get $values gui] : 0}]
if {$kind eq "number"} {
    puts -nonewline [expr [subst -novariables $source]]
} else {
    puts -nonewline [subst -novariables $source]
}
