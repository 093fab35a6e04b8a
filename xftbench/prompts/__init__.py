"""How a problem is put to a model, and how code is taken out of the reply."""
