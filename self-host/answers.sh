#!/bin/bash
# Whether a port of this machine answers, and with a path: whether that path is well.
set -euo pipefail
exec 3<> "/dev/tcp/127.0.0.1/$1"
[ $# -gt 1 ] || exit 0
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
read -r line <&3
[[ $line == *' 200 '* ]]
