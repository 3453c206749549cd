"""The state of an environment: snapshots chosen by proof, and fields to compare."""
