"""Series of any form as arrays, and forecasts in the form of the series."""
