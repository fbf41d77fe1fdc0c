"""The lab of real services: an engine, images from Debian packages, a stack. `lab/lab --help` is its face."""
