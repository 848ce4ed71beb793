"""Layers: parameters, the recurrent layer and its runs, heads and losses."""
