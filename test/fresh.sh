#!/bin/bash
# The two commands, as a newcomer types them: a fresh clone, an empty npm cache, `npm ci && npm start`; as
# root and as an ordinary user; twice in a row, and again after everything was killed. Ends with
# "N passed, N failed".
set -u
here=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
passed=0
failed=0

claim() { # WHAT COMMAND…: counts whether the command exits 0
  local what=$1
  shift
  if "$@"; then
    passed=$((passed + 1)) && echo "(pass) $what"
  else
    failed=$((failed + 1)) && echo "(fail) $what"
  fi
}

free_port() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}

answers() { # does hello answer through the routers? One that has just started may still be hearing of it
  for _ in $(seq 60); do
    node -e '
      const options = { port: +process.argv[1], host: "127.0.0.1", path: "/", headers: { host: "hello.localhost" } };
      require("http").get(options, (r) => process.exit(r.statusCode === 200 ? 0 : 1)).on("error", () => process.exit(1));
    ' "$NINES_PORT" && return 0
    sleep 0.5
  done
  return 1
}

gone() { # nothing that carries the folder is left; a busy machine may take a moment to see them off
  for _ in $(seq 200); do
    found=$(grep -lsF "$root/home" /proc/[0-9]*/environ /proc/[0-9]*/cmdline || true)
    [ -z "$found" ] && return 0
    sleep 0.1
  done
  for file in $found; do
    pid=${file#/proc/} && pid=${pid%%/*}
    [ -e "/proc/$pid/cmdline" ] && echo "left running: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")" && kill -9 "$pid"
  done
  return 1
}

in_clone() { (cd "$root/nines" && "${as[@]}" "$@"); }

kill_everything() { # every part and every instance of this home, kernel and heart among them
  for pid in $(in_clone ./bin/nines status --json |
    node -e 'const s = JSON.parse(require("fs").readFileSync(0)); console.log(s.parts.map((p) => p.pid).join(" "))'); do
    kill -9 "$pid"
  done
}

newcomer() { # WHO PREFIX…: the whole story of one user
  local who=$1
  shift
  root=$(mktemp -d "${TMPDIR:-/tmp}/nines-fresh-XXXXXX")
  chmod 711 "$root"
  mkdir "$root/user"
  git clone -q --no-hardlinks "file://$here" "$root/nines"
  local owner
  owner=$("$@" id -u)
  [ "$owner" = "$(id -u)" ] || chown -R "$owner" "$root/nines" "$root/user"
  [ "$owner" = "$(id -u)" ] || { mkdir "$root/home" && chown "$owner" "$root/home"; }
  NINES_PORT=$(free_port)
  NINES_API_PORT=$(free_port)
  as=("$@" env HOME="$root/user" TMPDIR="$root/user" npm_config_cache="$root/user/cache"
    NINES_HOME="$root/home" NINES_PORT="$NINES_PORT" NINES_API_PORT="$NINES_API_PORT")

  claim "$who: npm ci with an empty cache" in_clone npm ci --loglevel=error
  # Nothing of the rest can be without it.
  [ -d "$root/nines/node_modules" ] || { rm -rf "$root" && return; }
  claim "$who: npm start" in_clone npm start --silent
  claim "$who: hello answers" answers
  claim "$who: npm start again changes nothing" in_clone npm start --silent
  claim "$who: hello answers still" answers
  kill_everything
  claim "$who: npm start after everything was killed" in_clone npm start --silent
  claim "$who: hello answers again" answers
  claim "$who: npm stop" in_clone npm stop --silent
  claim "$who: nothing is left" gone
  [ -n "${NINES_TEST_KEEP:-}" ] && echo "kept: $root" || rm -rf "$root"
}

if [ "$(id -u)" -eq 0 ]; then
  newcomer root env
  nobody=$(id -u nobody)
  newcomer "an ordinary user" setpriv --reuid="$nobody" --regid="$(id -g nobody)" --clear-groups
else
  newcomer "an ordinary user" env
  echo "skipped: the newcomer who is root; run this as root to see both" >&2
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
