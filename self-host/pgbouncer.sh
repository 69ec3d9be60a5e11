#!/bin/sh
# PgBouncer before one database, in transaction mode: the worker opens a connection for each request that needs one.
#
#   POSTGRES       host=… port=… of the server
#   DATABASE       its database, celaest
#   DATABASE_USER  the role that may come, celaest_app
#   PASSWORD_FILE  the file that has its password
#   PLACES         connections to the server at most, 20
set -eu
umask 077
cd "$(mktemp -d)"
quoted() { sed -e 's/"/""/g'; }
printf '"%s" "%s"\n' "${DATABASE_USER:=celaest_app}" "$(quoted < "${PASSWORD_FILE:?}")" > users.txt
cat > pgbouncer.ini <<END
[databases]
${DATABASE:=celaest} = ${POSTGRES:?} dbname=$DATABASE

[pgbouncer]
listen_addr = *
listen_port = 6432
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $PWD/users.txt
pool_mode = transaction
default_pool_size = ${PLACES:-20}
max_client_conn = 2000
ignore_startup_parameters = extra_float_digits
END
exec pgbouncer pgbouncer.ini
