"""What every source that reads rows of text needs: exact numbers, the rules of a row, clocks that change, room on disk."""
