"""The sum of many arrays in the order of a binary tree."""


class TreeSum:
    """Sums arrays, handed in one after the other, in the order of a binary tree.

    It keeps about log2 of their number. Arrays that are no longer used are lent again.

    Args:
        add (callable): ``add(x, y)`` is ``y += x``.
    """

    def __init__(self, add):
        self._add = add
        self._partial = []  # (number of arrays in it, sum), the numbers decreasing
        self._free = []

    def borrow(self, xp, n_elements, dtype):
        """Return an array ``(n_elements,)`` of any content, to be filled and handed in."""
        if self._free and self._free[-1].size != n_elements:
            self._free.clear()
        return self._free.pop() if self._free else xp.empty(n_elements, dtype)

    def push(self, array):
        """Hand in an array. It may be changed."""
        n = 1
        while self._partial and self._partial[-1][0] == n:
            array = self._merge(array)
            n *= 2
        self._partial.append((n, array))

    def _merge(self, array):
        _, earlier = self._partial.pop()
        self._add(array, earlier)
        self._free.append(array)
        return earlier

    def pop(self):
        """Return the sum of all arrays since the last call; give it back after use."""
        _, total = self._partial.pop()
        while self._partial:
            total = self._merge(total)
        return total

    def pop_terms(self):
        """Return the partial sums that one more array must be added to, in this order.

        Returns:
            list: Arrays; give them back after use.
        """
        terms = [array for _, array in reversed(self._partial)]
        self._partial.clear()
        return terms

    def give_back(self, *arrays):
        """Lend arrays again."""
        self._free.extend(arrays)
