"""From a release folder to a publication: the gate, the files, the switch."""
