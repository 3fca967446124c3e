"""Many runs of one config: their points, workers and tables, and seeds as one program."""
