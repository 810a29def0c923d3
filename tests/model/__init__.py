"""Native tasks: parameters, ids, events, targets, and the contract that luigi's tasks keep, too."""
