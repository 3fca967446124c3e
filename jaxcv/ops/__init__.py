"""Array functions that several subjects share."""
