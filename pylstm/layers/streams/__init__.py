"""One step at a time: streams of a layer and of a stack, and streams that learn."""
