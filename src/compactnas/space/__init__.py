"""Search spaces and genotypes: descriptions without torch."""
