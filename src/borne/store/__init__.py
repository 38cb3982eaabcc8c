"""SQL only: one file per noun and the migrations. Queries in, plain rows out, no business branching."""
