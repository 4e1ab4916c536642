"""multilingual-e5-small: from two wheels on a package index to scores on a CPU."""
