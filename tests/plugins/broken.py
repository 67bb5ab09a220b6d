"""Can't be imported: it must be listed with its reason, and nothing else may suffer."""

raise RuntimeError("this plugin is broken on purpose")
