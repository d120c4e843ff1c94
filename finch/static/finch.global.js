// built by the client's own tools
