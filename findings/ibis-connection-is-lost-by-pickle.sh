#!/usr/bin/env bash
# ibis-framework 12.0.0: a connection that was pickled cannot be used, nor connected again.
#
# pickle.dumps takes a backend without complaint. What comes back has the path of the database, but
# no connection: each use ends in an AttributeError about `con`. `reconnect()`, which is there for
# "the database already configured with connect", raises one about `_can_reconnect`: __init__ sets
# that, and a pickle does not call it. Tables and expressions hold their backend, so that an
# expression which was sent to a worker fails there as late as when it is executed. A backend that
# is made of the same arguments anew works.
#
# Seen (Python 3.11):
#   list_tables: AttributeError: 'Backend' object has no attribute 'con'
#   reconnect: AttributeError: 'Backend' object has no attribute '_can_reconnect'
#   execute: AttributeError: 'Backend' object has no attribute 'con'
#   made anew: ['t']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "ibis-framework[sqlite]==12.0.0"

cat >"$folder/try.py" <<'PYTHON'
import pickle

import ibis

connection = ibis.sqlite.connect("tables.db")
connection.raw_sql("create table t (a integer)").close()
back = pickle.loads(pickle.dumps(connection))
count = pickle.loads(pickle.dumps(connection.table("t").count()))
uses = {"list_tables": back.list_tables, "reconnect": back.reconnect, "execute": count.execute}
for name, use in uses.items():
    try:
        print(f"{name}: {use()}")
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")
print("made anew:", type(back)(*back._con_args).connect(*back._con_args).list_tables())
PYTHON

seen=$(cd "$folder" && venv/bin/python try.py)
printf '%s\n' "$seen"
[ "$seen" = "list_tables: AttributeError: 'Backend' object has no attribute 'con'
reconnect: AttributeError: 'Backend' object has no attribute '_can_reconnect'
execute: AttributeError: 'Backend' object has no attribute 'con'
made anew: ['t']" ]
