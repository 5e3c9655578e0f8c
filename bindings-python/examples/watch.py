"""Prints what changes in a folder of manifests, until Ctrl+C.

    python watch.py manifests/
"""

import sys

import gatewright


def main() -> None:
    with gatewright.watch(*(sys.argv[1:] or ["manifests"])) as watcher:
        before = set(watcher.table.routes)
        print(f"watching {watcher.table!r}")
        for table in watcher:
            now = set(table.routes)
            for route in sorted(now - before, key=str):
                print(f"+ {route}")
            for route in sorted(before - now, key=str):
                print(f"- {route}")
            for found in table.diagnostics:
                if found.severity != "info":
                    print(found)
            before = now


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except gatewright.ManifestError as error:
        sys.exit(str(error))
