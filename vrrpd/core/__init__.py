"""The decisions: state machine, timers, priority, sync groups. Time and bytes are arguments, actions the result."""
