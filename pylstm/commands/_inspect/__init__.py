"""What ``pylstm inspect`` is made of: reading of the data, runs of the layers, pictures, the page."""
