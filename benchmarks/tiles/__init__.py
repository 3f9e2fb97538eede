"""Pictures drawn larger than the network knows, by tiles: seams, quality and faithfulness."""
