"""`python -m tutumstream [options]` is `twistd -n tutumstream [options]` without a pid file."""

import sys

from twisted.scripts import twistd

if __name__ == "__main__":
    sys.argv[1:] = ["-n", "--pidfile=", "tutumstream", *sys.argv[1:]]
    twistd.run()
