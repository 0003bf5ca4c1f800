"""The local pages: recorded sessions in a browser. Read only; every figure is a view of the journal."""
