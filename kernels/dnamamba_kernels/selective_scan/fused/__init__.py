"""The scan on Triton: how it is cut (``plan``), launched (``launch``) and computed (the rest)."""
