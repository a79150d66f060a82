"""How a source lies on disk: one layout a file, each listing its videos without opening any."""
