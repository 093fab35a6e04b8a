"""The commands of ``xft``, one file each; imported only when asked for."""
