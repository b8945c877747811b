"""Does the video obey? Measures of motion against what was asked for."""
