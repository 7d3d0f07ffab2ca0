# shellcheck shell=sh
# What the steps ask of the server; sourced by each of them. Environment of all: KENNEL_URL, KENNEL_KEY (see
# `kennel --help`) and MODEL.
: "${MODEL:?the name of the model}"

# field NAME TEXT: the value that the client's table shows beside NAME.
field() {
    printf '%s\n' "$2" | awk -v name="$1" '$1 == name && $2 != "-" { print $2; exit }'
}

production() {
    shown=$(kennel model show "$MODEL") || exit
    field production "$shown"
}

# What a release is about: VERSION, else the newest version that its gate passed and that is newer than production;
# nothing where there is none.
candidate() {
    [ -z "${VERSION:-}" ] || { echo "$VERSION"; return; }
    now=$(production) || exit
    listed=$(kennel version list "$MODEL") || exit
    printf '%s\n' "$listed" | awk -v now="${now:-0}" '$4 == "passed" && $1 + 0 > now + 0 { print $1; exit }'
}

# The newest rollout's state, version and, of one that has ended, the time; nothing where there never was one.
rollout_state() {
    kennel rollout show "$MODEL" 2>/dev/null | sed -n '1s/^[^ ]*: rollout [0-9]* \([a-z_]*\).*/\1/p'
}

rollout_version() {
    kennel rollout show "$MODEL" 2>/dev/null | sed -n '1s/^[^ ]*: rollout [^,]*, version \([0-9]*\) at .*/\1/p'
}

rollout_ended() {
    kennel rollout show "$MODEL" --json 2>/dev/null | tr -d '\n' | sed -n 's/.*"ended": *"\([^"]*\)".*/\1/p'
}
