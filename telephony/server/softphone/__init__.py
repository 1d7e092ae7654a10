"""The phone in a web page: voxline's own page, and the module by which other pages call."""
