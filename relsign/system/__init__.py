"""The only owner of files, processes, the network and the clock."""
