"""Fingerprints of the real splits, independent of the Rust code: python3 fingerprints.py SHARED/data

From the golden sequences (one realisation of the reference's preprocessing) and the raw times: ties in time go by CPython's order of a
set of integers on ml-100k (which the golden sequences already have) and by the SHA-256 of the raw id elsewhere.
"""

import csv
import gzip
import hashlib
import struct
import sys
from pathlib import Path


def sequences(data, name):
    with gzip.open(data / "golden" / f"{name}.sequences.tsv.gz", "rt") as lines:
        for line in lines:
            user, items = line.rstrip("\n").split("\t")
            yield user, items.split(" ")


def times(path):
    with open(path) as rows:
        return {(user, item): int(time) for user, item, _, time in csv.reader(rows)}


def put(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def fingerprint(users):
    digest = hashlib.sha256()
    for user, items in users:
        *train, validation, test = items
        digest.update(put(user) + struct.pack("<Q", len(train)))
        for item in [*train, validation, test]:
            digest.update(put(item))
    return digest.hexdigest()


def main():
    data = Path(sys.argv[1])
    print("ml-100k", fingerprint(sorted(sequences(data, "ml-100k"), key=lambda user: int(user[0]))))
    for name, ratings in [("beauty", "beauty/ratings_Beauty.csv"), ("games", "games/ratings_Video_Games.csv")]:
        when = times(data / ratings)
        users = []
        for user, items in sorted(sequences(data, name), key=lambda user: user[0].encode()):
            key = lambda item: (when[user, item], hashlib.sha256(item.encode()).digest())
            users.append((user, sorted(items, key=key)))
        print(name, fingerprint(users))


if __name__ == "__main__":
    main()
