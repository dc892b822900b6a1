"""Rows, tables and papers as jobs: expanded, run somewhere, gone on with. A job's folder is all that is known of it."""
