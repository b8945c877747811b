"""Training: what is minimised, in which order the clips come, and the loop around both."""
