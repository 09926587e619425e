"""Write packed sets: patches in one array that opens at once."""
