#!/bin/sh
# The part of kennel(1) that says what each command's options are, out of what the program says of itself.
# usage: commands.sh KENNEL INCLUDE >WHOLE   (INCLUDE: the rest of the page, for help2man --include)
set -eu
kennel=$1
cat "$2"
printf '\n[COMMANDS]\nEach takes the options of every command too.\n'
"$kennel" --help | sed -n '/^Options of every/q; s/^  \([a-z]*\( [a-z]*\)\{0,1\}\).*/\1/p' | while read -r words; do
    # shellcheck disable=SC2086
    "$kennel" $words --help | awk '
        function roff(text) {
            gsub(/\\/, "\\e", text)
            gsub(/-/, "\\-", text)
            return text ~ /^[.'"'"']/ ? "\\&" text : text
        }
        NR == 1 { sub(/^Usage: /, ""); sub(/ *\[OPTION\.\.\.\]$/, ""); print ".SS " roff($0) }
        NR == 3 { print roff($0) }
        /^  --url / { exit }
        /^  --/ {
            line = substr($0, 3)
            at = index(line, "  ") # none where the option is wider than its column: then it has a value
            if (!at) {
                match(line, /^[^ ]+ [^ ]+/)
                at = RLENGTH + 1
            }
            option = substr(line, 1, at - 1)
            help = substr(line, at)
            sub(/^ */, "", help)
            split(option, part, " ")
            value = substr(option, length(part[1]) + 2)
            print ".TP\n\\fB" roff(part[1]) "\\fR" (value == "" ? "" : " \\fI" roff(value) "\\fR")
            print roff(help)
        }'
done
