"""A demo API of people, posts, comments and tasks, in the manner of jsonplaceholder."""
