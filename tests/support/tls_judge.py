"""Scan a TLS server and print what Mozilla's intermediate profile has against it, as JSON. Runs where sslyze is."""

import json
import sys

from sslyze import Scanner, ServerNetworkLocation, ServerScanRequest
from sslyze.mozilla_tls_profile import tls_config_checker as profile

name, address, port = sys.argv[1:]
place = ServerNetworkLocation(name, int(port), ip_address=address)
scanner = Scanner()
scanner.queue_scans([ServerScanRequest(place, scan_commands=profile.SCAN_COMMANDS_NEEDED_BY_MOZILLA_CHECKER)])
wanted = profile.MozillaTlsConfiguration.get(profile.TlsConfigurationEnum.MOZILLA_INTERMEDIATE)
found = {}
for result in scanner.get_results():
    try:
        profile.check_server_against_tls_configuration(result, wanted)  # what was not scanned is an error, too
    except profile.ServerNotCompliantWithTlsConfiguration as refused:
        found = refused.issues
print(json.dumps(found))
