"""Reading and writing files safely, and stopping on request."""
