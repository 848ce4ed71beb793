"""What a cell declares, completed and checked: blocks and their widths, matrices, options, stages."""
