# Brings the ACME server into its state, and prints its CA and its root. Run as root inside the host.
# Comes in before: alternatives (names of its API's certificate), names (dnsmasq's lines), split (between the two).
set -eu
cd /etc/sandbox-acme
ec='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
if [ ! -s api.pem ]; then
    umask 077
    # shellcheck disable=SC2086  # several words
    openssl req -x509 $ec -days 3650 -keyout ca.key -out ca.pem \
        -subj '/CN=sandbox ACME API' -addext keyUsage=critical,keyCertSign 2>/dev/null
    # shellcheck disable=SC2086
    openssl req $ec -keyout api.key -out api.csr -subj /CN=acme 2>/dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$alternatives" > api.ext
    openssl x509 -req -in api.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile api.ext \
        -out api.new 2>/dev/null
    mv api.new api.pem
fi
printf '%s\n' "$names" > names.new
if cmp -s names.new names.conf; then
    rm names.new
else
    mv names.new names.conf
    systemctl restart sandbox-dns.service
fi
systemctl start sandbox-pebble.service
n=0
until curl -sSf --cacert ca.pem https://localhost:15000/roots/0 -o root.pem 2>/dev/null; do
    n=$((n + 1))
    [ $n -lt 100 ] || { journalctl -q -n 5 -u sandbox-pebble.service >&2; exit 1; }
    sleep 0.1
done
cat ca.pem
echo "$split"
cat root.pem
