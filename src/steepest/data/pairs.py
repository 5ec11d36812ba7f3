"""Byte pair encoding (Gage, 1994; Sennrich et al., 2016, Algorithm 1), over bytes as GPT-2 has it: no text is unknown to it.

A token is a piece of bytes, written as one letter a byte (Latin-1). Merging is by rank: of all neighbors, those whose union was
learned first.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise

# A word with the blank before it, signs likewise, other white space. Pairs never reach across.
PIECE = re.compile(r" ?\w+| ?[^\w\s]+|\s+(?!\S)|\s+")

BYTES = [bytes([k]).decode("latin-1") for k in range(256)]


def pieces(text: str) -> list[str]:
    return [piece.encode("utf-8", "surrogatepass").decode("latin-1") for piece in PIECE.findall(text)]


def learn(texts: Iterable[str], count: int) -> list[str]:
    """The 256 bytes, and the `count` pairs that were most frequent when it was their turn; of equals the first in the alphabet."""
    words = Counter(piece for text in texts for piece in pieces(text))
    spelled, times = [list(word) for word in words], list(words.values())
    counts: Counter[tuple[str, str]] = Counter()
    where: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for number, letters in enumerate(spelled):
        for pair in pairwise(letters):
            counts[pair] += times[number]
            where[pair].add(number)
    heap = [(-n, pair) for pair, n in counts.items()]
    heapify(heap)
    learned: dict[str, None] = dict.fromkeys(BYTES)
    while heap and len(learned) < len(BYTES) + count:
        negative, pair = heappop(heap)
        n = counts.get(pair, 0)
        if n != -negative or n == 0:
            continue  # counted anew since; the right entry lies elsewhere in the heap
        learned["".join(pair)] = None
        changed = set()
        for number in where.pop(pair):
            before = spelled[number]
            after = merged(before, pair)
            for old in pairwise(before):
                counts[old] -= times[number]
                where[old].discard(number)
                changed.add(old)
            for new in pairwise(after):
                counts[new] += times[number]
                where[new].add(number)
                changed.add(new)
            spelled[number] = after
        counts.pop(pair, None)
        for each in changed - {pair}:
            heappush(heap, (-counts[each], each))
    return list(learned)


def merged(letters: list[str], pair: tuple[str, str]) -> list[str]:
    """The letters with each occurrence of the pair, from the left, made one."""
    found, k = [], 0
    while k < len(letters):
        if k + 1 < len(letters) and letters[k] == pair[0] and letters[k + 1] == pair[1]:
            found.append(letters[k] + letters[k + 1])
            k += 2
        else:
            found.append(letters[k])
            k += 1
    return found


def split(piece: str, ranks: Mapping[str, int]) -> list[str]:
    """One piece of text as tokens."""
    letters = list(piece)
    while len(letters) > 1:
        best = min(pairwise(letters), key=lambda pair: ranks.get(pair[0] + pair[1], len(ranks) + len(BYTES)))
        if best[0] + best[1] not in ranks:
            break
        letters = merged(letters, best)
    return letters
