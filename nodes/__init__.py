"""ILVR as ComfyUI nodes. Relative imports only: ComfyUI has a top-level module ``nodes`` too."""
