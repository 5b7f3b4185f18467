"""The container engine: connection, containers, images, and what crashed builds left."""
