"""Looking at every item of a data set for what is wrong with it. Open `scan.py`."""
