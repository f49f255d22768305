"""A trained model at work: records in any form in, embeddings and scores out."""
