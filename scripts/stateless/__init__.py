"""Work over the remote state: pull before, push after; and in a folder that is gone when the work is done."""
