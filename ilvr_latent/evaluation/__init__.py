"""The paper's tables: quality, diversity and faithfulness by N and by conditioning range."""
