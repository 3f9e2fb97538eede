"""Methods of other papers, one file each."""
