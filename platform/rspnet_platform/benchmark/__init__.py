"""Several methods under one budget on one data set, and the table of what their encoders are worth."""
