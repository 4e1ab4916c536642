#!/bin/sh
# Installs the units beside this script and starts rankguard. Run as root; running it again is harmless.
# Rendered by `rankguard render systemd`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=${DESTDIR:-}

command -v systemctl >/dev/null || { echo "this host has no systemd" >&2; exit 2; }
[ -n "$root" ] || [ -x /opt/rankguard/bin/rankguard ] || { echo "/opt/rankguard/bin/rankguard is missing: install rankguard there first" >&2; exit 2; }
[ -n "$root" ] || [ -f /etc/rankguard/rankguard.toml ] || { echo "/etc/rankguard/rankguard.toml is missing" >&2; exit 2; }

put() { install -D -m 0644 "$here/$1" "$root$2"; }
put rankguard.target /etc/systemd/system/rankguard.target
put rankguard-gateway.service /etc/systemd/system/rankguard-gateway.service
put rankguard-watchdog.service /etc/systemd/system/rankguard-watchdog.service
put rankguard-replicas.service /etc/systemd/system/rankguard-replicas.service
put rankguard.sysusers.conf /etc/sysusers.d/rankguard.conf
put rankguard.tmpfiles.conf /etc/tmpfiles.d/rankguard.conf
put rankguard.logrotate /etc/logrotate.d/rankguard

[ -z "$root" ] || exit 0  # packaging: files only
systemd-sysusers rankguard.conf
systemd-tmpfiles --create rankguard.conf
systemctl daemon-reload
systemctl enable --now rankguard.target
systemctl --no-pager --lines=0 status rankguard-gateway.service rankguard-watchdog.service rankguard-replicas.service || true
echo "follow it with: journalctl -fu rankguard-gateway -u rankguard-watchdog"
