"""The paper's experiments on the small model: arms that differ in one thing, trained and judged alike."""
