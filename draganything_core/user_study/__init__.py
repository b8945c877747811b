"""Which of two videos do people prefer? Blind pairs in one page, and what came of the votes."""
