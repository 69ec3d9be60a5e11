#!/bin/sh
# Starts the runtime: secrets from files, the database's address into the configuration.
#
#   DATABASE_URL   postgresql://user:password@host:port/database, the run-time role (or DATABASE_URL_FILE)
#   DATABASE_PASSWORD_FILE  the file that has the password, where the URL has none
#   DATA           where objects and messages are kept, /data
#   ADDRESS        where requests come in, *:8080
#   QUEUES_ADDRESS where an operator asks what waits in the queues, 127.0.0.1:8081
#   NAME_FILE      for each NAME of the file `variables`: the file that has its value
set -eu

here=$(cd "$(dirname "$0")" && pwd)
umask 077
run=$(mktemp -d)
: > "$run/unset.sed"
while read -r name; do
  eval "file=\${${name}_FILE:-}"
  [ -z "$file" ] || export "$name=$(cat "$file")"
  # What is not set is not there either, where the runtime would make a null of it.
  eval "[ -n \"\${$name+set}\" ]" || printf '/fromEnvironment = "%s")/d\n' "$name" >> "$run/unset.sed"
done < "$here/variables"

: "${DATABASE_URL:?is not set: give the connection string of the run-time role}"
DATA=${DATA:-/data}
rest=${DATABASE_URL#*://}
who=${rest%@*}
[ -z "${DATABASE_PASSWORD_FILE:-}" ] || who="$who:$(cat "$DATABASE_PASSWORD_FILE")"
where=${rest##*@}
# What is asked of a connection is the runtime's own business.
where=${where%%\?*}
mkdir -p "$DATA/objects" "$DATA/messages"

# What stands in a sed replacement or in a quoted text of the configuration, escaped.
quoted() { printf '%s' "$1" | sed -e 's/["\\]/\\&/g' -e 's/[\\&|]/\\&/g'; }
networks='"public"'
[ "${ALLOW_PRIVATE_NETWORK:-false}" = true ] && networks='"public", "private"'

config="$here/config.capnp"
# The folder itself may be read-only: everything but the configuration is only pointed at.
ln -s "$here"/* "$run/"
rm "$run/config.capnp"
sed -e "s|@DATABASE_HOST@|$(quoted "${where%%/*}")|" -e "s|@DATABASE@|$(quoted "${where#*/}")|" \
  -e "s|@DATABASE_USER@|$(quoted "${who%%:*}")|" -e "s|@DATABASE_PASSWORD@|$(quoted "${who#*:}")|" \
  -e "s|@DATA@|$(quoted "$DATA")|" -e "s|@ADDRESS@|$(quoted "${ADDRESS:-*:8080}")|" -e "s|@QUEUES_ADDRESS@|$(quoted "${QUEUES_ADDRESS:-127.0.0.1:8081}")|" \
  -e "s|@NETWORKS@|$networks|" \
  -f "$run/unset.sed" "$config" > "$run/config.capnp"
unset DATABASE_URL
cd "$run"
exec "${WORKERD:-workerd}" serve --experimental config.capnp config
