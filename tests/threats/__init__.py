"""What strangers, other sites, broken files and faults may do to the server; :mod:`tests.threats.lines` lists it."""
