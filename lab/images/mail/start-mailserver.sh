#!/usr/bin/env bash
# Lab entrypoint of a mail server. Imitates docker-mailserver/docker-mailserver at the level of its documented contract:
# target/scripts/helpers/accounts.sh (7bf699bc: accounts to Postfix's and Dovecot's tables, mail below
# /var/mail/DOMAIN/USER owned by 5000), target/scripts/startup/setup.d/dovecot.sh (57db680e: without an account it waits up to
# 120 s for one, then ends) and check-for-changes.sh (changed accounts are taken over while it runs).
set -euo pipefail
config=/tmp/docker-mailserver
accounts=$config/postfix-accounts.cf
name=${OVERRIDE_HOSTNAME:-$(hostname -f)}

for left in {120..1}; do
  [[ ! -s $accounts ]] || break
  ((left % 10)) || echo "You need at least one mail account to start Dovecot ($left s left for account creation before shutdown)"
  sleep 1
done
[[ -s $accounts ]] || { echo 'no account was made: shutting down' >&2; exit 1; }

# SSL_TYPE=manual takes SSL_CERT_PATH and SSL_KEY_PATH; else a certificate of our own, kept in /var/mail-state.
mkdir -p /etc/dms/tls /var/mail-state
if [[ ${SSL_TYPE:-} == manual ]]; then
  ln -sf "$SSL_CERT_PATH" /etc/dms/tls/cert && ln -sf "$SSL_KEY_PATH" /etc/dms/tls/key
else
  [[ -e /var/mail-state/cert ]] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 825 -subj "/CN=$name" \
    -addext "subjectAltName=DNS:$name" -keyout /var/mail-state/key -out /var/mail-state/cert 2>/dev/null
  ln -sf /var/mail-state/cert /etc/dms/tls/cert && ln -sf /var/mail-state/key /etc/dms/tls/key
fi

tables() {
  local address hash
  : >/etc/postfix/vmailbox
  : >/etc/dovecot/userdb.new
  while IFS='|' read -r address hash _; do
    [[ $address == *@* ]] || continue
    echo "$address ${address#*@}/${address%@*}/" >>/etc/postfix/vmailbox
    echo "$address:$hash" >>/etc/dovecot/userdb.new
  done < <(grep -v '^#' "$accounts")
  chown root:dovecot /etc/dovecot/userdb.new && chmod 0640 /etc/dovecot/userdb.new && mv /etc/dovecot/userdb.new /etc/dovecot/userdb
  cut -d' ' -f1 /etc/postfix/vmailbox | cut -d@ -f2 | sort -u | sed 's/$/ OK/' >/etc/postfix/vhost
  cp "$config/postfix-virtual.cf" /etc/postfix/virtual 2>/dev/null || : >/etc/postfix/virtual
}
tables
mkdir -p /var/mail && chown docker: /var/mail

postconf -e "myhostname=$name" "mydestination=localhost" "mynetworks=127.0.0.0/8" "inet_interfaces=all" "maillog_file=/dev/stdout" \
  "virtual_mailbox_domains=texthash:/etc/postfix/vhost" "virtual_mailbox_maps=texthash:/etc/postfix/vmailbox" \
  "virtual_alias_maps=texthash:/etc/postfix/virtual" "virtual_transport=lmtp:unix:private/dovecot-lmtp" \
  "smtpd_sasl_type=dovecot" "smtpd_sasl_path=private/auth" "smtpd_tls_auth_only=yes" "smtpd_tls_security_level=may" \
  "smtpd_tls_cert_file=/etc/dms/tls/cert" "smtpd_tls_key_file=/etc/dms/tls/key" "smtp_tls_security_level=may" \
  "smtpd_relay_restrictions=permit_mynetworks permit_sasl_authenticated reject_unauth_destination" "compatibility_level=3.9" \
  "message_size_limit=${POSTFIX_MESSAGE_SIZE_LIMIT:-10240000}" "alias_maps="
postconf -M "submission/inet=submission inet n - y - - smtpd -o syslog_name=postfix/submission -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject"
postconf -M "submissions/inet=submissions inet n - y - - smtpd -o syslog_name=postfix/submissions -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject"
cp /etc/resolv.conf /etc/hosts /etc/services /var/spool/postfix/etc/ 2>/dev/null || :

trap 'postfix stop >/dev/null 2>&1; doveadm stop >/dev/null 2>&1; exit 0' TERM INT
postfix check 2>/dev/null || :  # makes the queue folders, where Dovecot puts its sockets
dovecot -F &
imap=$!
for _ in {1..50}; do [[ ! -S /var/spool/postfix/private/dovecot-lmtp ]] || break; sleep 0.1; done
postfix start-fg &
smtp=$!
echo "$name is up and running"
state() { { cat "$accounts" "$config/postfix-virtual.cf" 2>/dev/null || :; } | sha256sum; }
seen=$(state)
while sleep 2 & wait $!; do
  kill -0 $imap 2>/dev/null && kill -0 $smtp 2>/dev/null || { echo 'dovecot or postfix ended' >&2; exit 1; }
  now=$(state)
  if [[ $now != "$seen" ]]; then
    echo 'accounts changed'
    seen=$now
    tables
    postfix reload >/dev/null 2>&1
  fi
done
