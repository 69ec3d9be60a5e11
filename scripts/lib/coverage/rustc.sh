#!/bin/sh
# The compiler for the project's own crates while `npm run coverage` builds: it counts what is executed. The
# worker brings its own way to read the counters; on this machine the runtime of the compiler writes them.
case " $* " in
  *" wasm32-unknown-unknown "*) RUSTC_BOOTSTRAP=1 exec "$@" -Cinstrument-coverage -Zno-profiler-runtime --cfg coverage ;;
  *) exec "$@" -Cinstrument-coverage ;;
esac
