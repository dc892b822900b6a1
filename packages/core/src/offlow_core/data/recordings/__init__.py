"""Dataset files of any known format as rows, to be described, checked and converted; training has its own loaders."""
