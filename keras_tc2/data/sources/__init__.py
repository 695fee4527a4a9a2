"""From what a user has, a folder, a table or an array, to an `ImageDataset`."""
