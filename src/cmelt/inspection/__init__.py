"""What a store holds, as figures and as a page; what two stores have in common."""
