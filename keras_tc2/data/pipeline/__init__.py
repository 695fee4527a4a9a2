"""From images to batches of views: orders, epochs, steps and recipes."""
