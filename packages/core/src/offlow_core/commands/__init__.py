"""One file per `offlow` command; the table in `offlow_core.command` gives each its words."""
