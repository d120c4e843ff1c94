"""The same small application written for Finch and for each of its peers, one file each."""
