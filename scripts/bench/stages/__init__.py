"""One module per measurement: `ROWS` names the rows of the table it fills, `measure` yields their figures."""
