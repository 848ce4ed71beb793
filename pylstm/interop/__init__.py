"""Exchange with other libraries. Imported only when asked for; none of the libraries is needed."""
