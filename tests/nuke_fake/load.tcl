# Reads a .gizmo or .nk as Nuke does: each statement is a Tcl command, and a command that Tcl does
# not know is the class of a node. Prints the nodes as JSON; any fault ends it with exit code 1.
#   tclsh load.tcl FILE
set ::nodes {}
set ::stack {}
set ::groups {}
set ::made 0

proc version args {}
proc stack {depth} {
    if {$depth >= [llength $::stack]} { error "stack $depth is asked for, [llength $::stack] are there" }
    return [lindex $::stack end-$depth]
}
proc push {node} {
    lappend ::stack [expr {$node eq "" ? 0 : $node}]
}
proc end_group {} {
    if {![llength $::groups]} { error "end_group without a group" }
    lassign [lindex $::groups end] outer name
    set ::groups [lrange $::groups 0 end-1]
    set ::stack [concat $outer $name]
}
proc pop {count} {
    set inputs {}
    for {set i 0} {$i < $count} {incr i} {
        lappend inputs [expr {[llength $::stack] ? [lindex $::stack end] : 0}]
        set ::stack [lrange $::stack 0 end-1]
    }
    return $inputs
}
# An addUserKnob's braces: {kind name ?option value? ... ?+FLAG? ...}
proc user_knob {where words} {
    set name [lindex $words 1]
    if {[llength $words] < 2 || ![string is integer -strict [lindex $words 0]]} {
        error "$where: addUserKnob {$words} has no kind or no name"
    }
    set given [dict create kind [lindex $words 0] name $name flags {}]
    for {set i 2} {$i < [llength $words]} {incr i} {
        set word [lindex $words $i]
        if {[regexp {^[+-][A-Z_]+$} $word]} {
            dict lappend given flags $word
        } elseif {$word eq "R"} {
            dict set given R [lrange $words $i+1 $i+2]
            incr i 2
        } elseif {$word ni {l t T M n}} {
            error "$where.$name: unknown option $word"
        } elseif {$i + 1 >= [llength $words]} {
            error "$where.$name: option $word has no value"
        } else {
            dict set given $word [lindex $words [incr i]]
        }
    }
    return $given
}
proc make {class body} {
    if {[catch {llength $body} length]} { error "$class: the body is no list: $length" }
    if {$length % 2} { error "$class: a knob has no value ([llength $body] words)" }
    set knobs {}
    set user {}
    set inputs 1
    foreach {key value} $body {
        if {$key eq "addUserKnob"} {
            lappend user [user_knob $class $value]
        } elseif {$key eq "inputs"} {
            if {![string is integer -strict $value]} { error "$class: inputs $value" }
            set inputs $value
        } else {
            dict set knobs $key $value
        }
    }
    set name [expr {[dict exists $knobs name] ? [dict get $knobs name] : $class}]
    set id "[join [lmap group $::groups {lindex $group 1}] .].$name"
    set id [string trimleft $id .]
    lappend ::nodes [dict create class $class name $name id $id inputs [pop $inputs] \
        depth [llength $::groups] knobs $knobs user $user]
    incr ::made
    if {$class in {Group Gizmo}} {
        lappend ::groups [list $::stack $id]
        set ::stack {}
    } else {
        lappend ::stack $id
    }
}
proc unknown {class args} {
    if {[llength $args] != 1} { error "unknown command $class" }
    uplevel #0 [list make $class [lindex $args 0]]
}

proc text {value} {
    set map [list \\ \\\\ \" \\\" \n \\n \t \\t \r \\r]
    return "\"[string map $map $value]\""
}
proc texts {list} { return "\[[join [lmap each $list {text $each}] ,]\]" }
proc object {dict} {
    return "{[join [lmap {key value} $dict {string cat [text $key] : $value}] ,]}"
}
proc plain {dict} {
    set out {}
    dict for {key value} $dict { lappend out $key [text $value] }
    return [object $out]
}
proc user_json {given} {
    set out {}
    dict for {key value} $given {
        lappend out $key [expr {$key in {flags R M} ? [texts $value] : [text $value]}]
    }
    return [object $out]
}
proc node_json {node} {
    dict with node {
        return [object [list class [text $class] name [text $name] id [text $id] \
            inputs [texts $inputs] depth $depth knobs [plain $knobs] \
            user "\[[join [lmap each $user {user_json $each}] ,]\]"]]
    }
}

fconfigure stdout -encoding utf-8
set file [open [lindex $argv 0]]
fconfigure $file -encoding utf-8
set script [read $file]
foreach word [lmap each [info commands ::*] {string trimleft $each :}] {
    if {[regexp {^[A-Z]} $word]} { rename ::$word {} }
}
if {[catch {uplevel #0 $script} fault]} {
    puts stderr $fault
    exit 1
}
if {[llength $::groups]} {
    puts stderr "[llength $::groups] groups are never ended"
    exit 1
}
puts "\[[join [lmap each $::nodes {node_json $each}] ,\n]\]"
