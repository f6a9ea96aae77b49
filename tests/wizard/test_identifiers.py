"""Examples: what is right, what is nearly right, and what each mistake is told to be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wizard.identifiers import FIELD_KINDS, KINDS, SECRET_KINDS, Known, duration_seconds, parse

GUID = "837de879-1b6a-4a9c-9d0e-5f21c7aa30b4"
OTHER = "0d2b5a1c-6f0e-4a77-8c39-2e4b1f5d9a60"
GROUP = f"/subscriptions/{GUID}/resourceGroups/rg-net"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
ENDPOINT = f"{NETWORK}/privateEndpoints/pe-weu"
SERVICE = f"{NETWORK}/privateLinkServices/pls"
VNET = f"{NETWORK}/virtualNetworks/vnet-1"
SUBNET = f"{VNET}/subnets/snet-1"
ALIAS = f"internal-ingress.{GUID}.westeurope.azure.privatelinkservice"


def test_the_kinds_of_validate_in_the_order_of_its_help() -> None:
    assert " ".join(KINDS) == (
        "subscription-id endpoint-id link-service vnet-id subnet-id hostname chart-version release-name"
    )
    assert FIELD_KINDS[: len(KINDS)] == KINDS


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="colour"):
        parse("colour", "red")


@pytest.mark.parametrize(
    ("kind", "text", "normalized"),
    [
        ("subscription-id", GUID, GUID),
        ("subscription-id", GUID.upper(), GUID),
        ("subscription-id", f"/subscriptions/{GUID}", GUID),
        (
            "subscription-id",
            f"https://portal.azure.com/#@x.onmicrosoft.com/resource/subscriptions/{GUID}/overview",
            GUID,
        ),
        ("endpoint-id", ENDPOINT, ENDPOINT),
        ("endpoint-id", ENDPOINT[1:], ENDPOINT),
        ("endpoint-id", ENDPOINT + "/", ENDPOINT),
        ("endpoint-id", ENDPOINT + "/overview", ENDPOINT),
        ("endpoint-id", f"https://portal.azure.com/#@tenant/resource{ENDPOINT}/overview", ENDPOINT),
        ("endpoint-id", f"https://portal.azure.us/#@t.onmicrosoft.us/resource{ENDPOINT}/dnsConfiguration", ENDPOINT),
        ("endpoint-id", f"https://portal.azure.cn/#resource{ENDPOINT}", ENDPOINT),
        ("endpoint-id", "https://portal.azure.com/#view/x/id/" + ENDPOINT.replace("/", "%2F"), ENDPOINT),
        ("endpoint-id", "https://portal.azure.com/#view/x/id/" + ENDPOINT.replace("/", "%252F"), ENDPOINT),
        ("endpoint-id", ENDPOINT.replace("/", "%2f"), ENDPOINT),
        ("endpoint-id", f"https://management.azure.com{ENDPOINT}?api-version=2024-05-01", ENDPOINT),
        (
            "endpoint-id",
            ENDPOINT.replace("resourceGroups", "RESOURCEGROUPS").replace("privateEndpoints", "privateendpoints"),
            ENDPOINT,
        ),
        ("endpoint-id", ENDPOINT.replace(GUID, GUID.upper()), ENDPOINT),
        ("endpoint-id", ENDPOINT.replace("rg-net", "RG-Net"), ENDPOINT.replace("rg-net", "RG-Net")),
        ("endpoint-id", ENDPOINT.replace("/providers", "/\n  providers"), ENDPOINT),
        ("endpoint-id", ENDPOINT.replace("rg-net", "rg-(ü).x"), ENDPOINT.replace("rg-net", "rg-(ü).x")),
        ("link-service", ALIAS, ALIAS),
        ("link-service", ALIAS.replace("westeurope", "WestEurope"), ALIAS),
        ("link-service", f"a.b_c.{GUID}.azure.privatelinkservice", f"a.b_c.{GUID}.azure.privatelinkservice"),
        ("link-service", SERVICE, SERVICE),
        ("vnet-id", VNET, VNET),
        ("vnet-id", f"https://portal.azure.com/#@t/resource{VNET}/subnets", VNET),
        ("subnet-id", SUBNET, SUBNET),
        ("hostname", "dpm-01-eus1.example.link", "dpm-01-eus1.example.link"),
        ("hostname", "DPM.Example.Link", "dpm.example.link"),
        ("hostname", "dpm-01-eus1\n.example.link", "dpm-01-eus1.example.link"),
        ("chart-version", "1.2.3", "1.2.3"),
        ("chart-version", "15.4.1-rc.1+build.7", "15.4.1-rc.1+build.7"),
        ("release-name", "dpe-01.weu", "dpe-01.weu"),
        ("tenant-id", OTHER, OTHER),
        ("resource-group", "rg-net_(1).x", "rg-net_(1).x"),
        ("resource-group", GROUP + "/overview", "rg-net"),
        ("endpoint-name", "pe-weu_", "pe-weu_"),
        ("dns-server", "10.0.0.4", "10.0.0.4"),
        ("dns-server", "127.0.0.53:5353", "127.0.0.53:5353"),
        ("dns-server", "FD00:0::0012", "fd00::12"),
        ("private-ip", "10.20.1.4", "10.20.1.4"),
        ("private-ip", "100.64.3.9", "100.64.3.9"),
        ("private-ip", "FD00:0::0012", "fd00::12"),
        ("namespace", "dpe", "dpe"),
        ("registry", "Registry.example.com", "registry.example.com"),
        ("registry", "https://registry.example.com/helm", "registry.example.com"),
        ("registry", "oci://registry.example.com:5000/helm/x", "registry.example.com:5000"),
        ("registry", "127.0.0.1:5000", "127.0.0.1:5000"),
        ("registry", "localhost:5000", "localhost:5000"),
        ("registry-user", "robot$dpe", "robot$dpe"),
        ("registry-user", "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"),
        ("chart-ref", "oci://registry.example.com/helm/dpe", "oci://registry.example.com/helm/dpe"),
        ("chart-ref", "OCI://127.0.0.1:5000/dpe", "oci://127.0.0.1:5000/dpe"),
        ("values-path", '"~/My Files/values.yml"', "~/My Files/values.yml"),
        ("values-path", r"/home/me/My\ Files/values.yml", "/home/me/My Files/values.yml"),
        ("duration", "600s", "10m"),
        ("duration", "1h30m", "90m"),
        ("duration", "90s", "90s"),
        ("duration", "60m", "1h"),
        ("environment-name", "  Prod  West\nEurope ", "Prod West Europe"),
        ("item-name", "dpe-01", "dpe-01"),
    ],
)
def test_right(kind: str, text: str, normalized: str) -> None:
    parsed = parse(kind, text)
    assert (parsed.state, parsed.normalized, parsed.message) == ("ok", normalized, None)
    assert parsed.ok
    assert parsed.value == text
    assert parsed.parts
    assert all(part.state == "ok" for part in parsed.parts)


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        # something else altogether
        ("endpoint-id", SERVICE, "this is the ID of a Private Link Service"),
        ("endpoint-id", f"{NETWORK}/networkInterfaces/nic", "this is the ID of a network interface"),
        ("endpoint-id", VNET, "this is the ID of a virtual network"),
        ("endpoint-id", SUBNET, "this is the ID of a subnet"),
        ("endpoint-id", f"{NETWORK}/privateDnsZones/example.link", "this is the ID of a private DNS zone"),
        (
            "endpoint-id",
            f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm",
            "this is the ID of a virtual machine",
        ),
        ("endpoint-id", f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/aks", "an AKS cluster"),
        ("endpoint-id", f"{GROUP}/providers/Microsoft.Foo/bars/b", '"Microsoft.Foo/bars"'),
        ("endpoint-id", f"{SERVICE}/privateEndpointConnections/pe.1", "a connection on a Private Link Service"),
        ("endpoint-id", ALIAS, "this is the alias of a Private Link Service"),
        ("endpoint-id", GUID, "this is a GUID"),
        ("endpoint-id", "pe-weu", "this looks like a name"),
        ("endpoint-id", "https://portal.azure.com/#home", "names no resource"),
        ("endpoint-id", "https://portal.azure.com.example.net/" + ENDPOINT, "address of a page"),
        ("link-service", ENDPOINT, "this is the ID of a Private Endpoint"),
        ("link-service", GUID, "this is a GUID alone"),
        ("vnet-id", SUBNET, "this is the ID of a subnet"),
        ("subnet-id", ENDPOINT, "this is the ID of a Private Endpoint"),
        ("subscription-id", "Pay-As-You-Go", "looks like the subscription's name"),
        ("subscription-id", "My Subscription", "looks like the subscription's name"),
        ("subscription-id", ENDPOINT, f"its subscription ID is {GUID}"),
        ("subscription-id", ALIAS, "alias of a Private Link Service"),
        ("tenant-id", "contoso.onmicrosoft.com", "looks like a domain"),
        # GUIDs nearly right
        ("subscription-id", "00000000-0000-0000-0000-000000000000", "all zeros"),
        ("subscription-id", GUID.replace("-", "", 1), "lacks the dash as character 9"),
        ("subscription-id", GUID.replace("-", ""), f"write {GUID}"),
        ("subscription-id", GUID + "0", 'has 37 characters, not 36: "0" is extra'),
        ("subscription-id", GUID.replace("0e", "Oe"), "the letter O, where a digit 0"),
        ("endpoint-id", ENDPOINT.replace(GUID, GUID[:-1]), "35 of 36"),
        # IDs nearly right
        (
            "endpoint-id",
            ENDPOINT.replace("resourceGroups", "resourceGroup"),
            'here comes resourceGroups, not "resourceGroup"',
        ),
        ("endpoint-id", ENDPOINT.replace("rg-net", "rg net"), "cannot have a space"),
        ("endpoint-id", ENDPOINT.replace("/rg-net", "//rg-net"), "add the name of the resource group"),
        ("endpoint-id", ENDPOINT.replace("rg-net", "rg."), "end the resource group"),
        ("endpoint-id", ENDPOINT + "x" * 64, "64 is the most"),
        ("endpoint-id", ENDPOINT + "\n" + ENDPOINT, "two Resource IDs"),
        ("endpoint-id", ENDPOINT + "/anything", "leave out"),
        ("link-service", ALIAS.replace(GUID, GUID[:-1]), "has 35 of 36 characters"),
        ("link-service", "internal-ingress.westeurope.azure.privatelinkservice", "is not there"),
        ("link-service", ALIAS + ".com", "ends with .azure.privatelinkservice"),
        ("link-service", ALIAS.replace("internal-ingress", "internal ingress"), "cannot have a space"),
        # placeholders, shortened values, secrets
        ("release-name", "$(label)", "the release name"),
        ("chart-version", "$(chartVersion)", "the chart version"),
        ("registry-user", "$(ImageRegistryCredentials.username)", "the registry user"),
        ("registry-user", "<private_access_token>", "Copy token to clipboard"),
        ("values-path", "<values.yml>", "Download values.yml"),
        ("subscription-id", "{subscriptionId}", "is a placeholder"),
        ("endpoint-id", ENDPOINT.replace(GUID, "<subscription id>"), "is a placeholder"),
        (
            "endpoint-id",
            "/subscriptions/…/resourceGroups/…/providers/Microsoft.Network/privateEndpoints/…",
            "shortened",
        ),
        ("hostname", "helm upgrade --install x oci://r.example.com/x", "a whole command"),
        # host names
        ("hostname", "10.20.1.4", "this is an IP address"),
        (
            "hostname",
            "https://dpm.example.link:443/login",
            'this is a URL. Enter the host name alone: "dpm.example.link"',
        ),
        ("hostname", "dpm.example.link:443", 'leave out the port: enter "dpm.example.link"'),
        ("hostname", "*.example.link", "this is a wildcard"),
        ("hostname", "dpm_01.example.link", 'cannot have "_"'),
        ("hostname", "privatelink.example.link", "leave out privatelink."),
        ("hostname", "dpm.example.link\nminio.example.link", "several lines"),
        ("hostname", "dpm..example.link", "two dots in a row"),
        ("hostname", "a" * 64 + ".example.link", "at most 63"),
        ("hostname", "dürr.example.link", "cannot have"),
        # helm
        ("chart-version", "v1.2.3", 'written without v: "1.2.3"'),
        ("chart-version", "latest", "latest names no version"),
        ("chart-version", "^1.2", "a range"),
        ("chart-version", "1.x", "a range"),
        ("chart-version", ">= 1.2.0", "a range"),
        ("chart-version", "1.2.3.4", "this has 4"),
        ("chart-version", "01.2.3", "leading zeros"),
        ("chart-version", "1.2.3_b1", "write it with +"),
        ("release-name", "My-DPE", "lower case: my-dpe"),
        ("release-name", "a" * 54, "53 is the most"),
        ("release-name", "dpe_01", 'cannot have "_"'),
        ("release-name", "a..b", '".."'),
        ("namespace", "dpe.prod", "no dots"),
        ("registry", "me:pw@registry.example.com", "leave out the login"),
        ("registry", "registry.example.com:99999", "from 1 to 65535"),
        ("chart-ref", "oci://registry.example.com/helm/dpe:1.2.3", "leave out the version"),
        ("chart-ref", "https://registry.example.com/helm/dpe", "web address"),
        ("chart-ref", "oci://registry.example.com/Helm", "lower case"),
        ("duration", "10 minutes", "such as 10m"),
        ("duration", "0s", "between 1s and 24h"),
        ("duration", "25h", "between 1s and 24h"),
        # addresses
        ("dns-server", "dns.example.com", "no IP address"),
        ("dns-server", "10.0.0.4:70000", "from 1 to 65535"),
        ("dns-server", "224.0.0.1", "a multicast address"),
        ("private-ip", "20.50.3.4", "a public address"),
        ("private-ip", "127.0.0.1", "a loopback address"),
        ("private-ip", "169.254.1.1", "a link-local address"),
        ("private-ip", "168.63.129.16", "Azure's own"),
        ("private-ip", "192.0.2.9", "a reserved address"),
        ("private-ip", "10.0.0.0", "first or last address of 10.0.0.0/8"),
        ("private-ip", "0.0.0.0", "stands for all"),
        ("private-ip", "224.0.0.1", "a multicast address"),
        ("private-ip", "::1", "a loopback address"),
        ("private-ip", "2603:1020::1", "a public address"),
        ("private-ip", "10.0.0.0/24", "a range of addresses"),
        ("private-ip", "10.0.0.4:443", "leave out the port"),
        ("private-ip", "10.0.300.1", "at most 255"),
        ("private-ip", "10.0.01.1", "write 1 instead"),
        ("private-ip", "dpm.example.link", "no IP address"),
        # files and names
        ("values-path", "https://portal.example.com/values.yml", "Download the file"),
        ("values-path", r"C:\Users\me\values.yml", "Windows path"),
        ("values-path", "-", "standard input"),
        ("environment-name", "x" * 65, "at most 64"),
        ("item-name", "Dpe", "lower case: dpe"),
        ("endpoint-name", "-pe", "cannot begin"),
        ("resource-group", "rg/net", "alone"),
    ],
)
def test_wrong_and_named(kind: str, text: str, says: str) -> None:
    parsed = parse(kind, text)
    assert parsed.state == "wrong", parsed
    assert says in (parsed.message or "")
    assert parsed.normalized == ""
    assert [part.state for part in parsed.parts].count("bad") == 1, parsed.parts


@pytest.mark.parametrize(
    ("kind", "text", "next_", "completion"),
    [
        ("endpoint-id", "/sub", "add scriptions/…", "scriptions/"),
        ("endpoint-id", "/subscriptions/", "add the last 36 of 36 characters of the subscription ID", ""),
        ("endpoint-id", f"/subscriptions/{GUID}", "add /resourceGroups/…", "/resourceGroups/"),
        (
            "endpoint-id",
            f"{GROUP}/prov",
            "add iders/Microsoft.Network/privateEndpoints/…",
            "iders/Microsoft.Network/privateEndpoints/",
        ),
        ("endpoint-id", GROUP, "add /providers/Microsoft.Network/privateEndpoints/…", ""),
        ("endpoint-id", f"{NETWORK}/private", "add Endpoints/…", "Endpoints/"),
        ("endpoint-id", f"{NETWORK}/privateEndpoints/", "add the name of the Private Endpoint", ""),
        ("subnet-id", VNET, "add /subnets/…", ""),
        ("link-service", "internal-ingress", "add .GUID.region.azure.privatelinkservice after the name", ""),
        ("link-service", f"internal-ingress.{GUID}", "add .region.azure.privatelinkservice", ""),
        ("link-service", f"internal-ingress.{GUID}.westeurope", "add .azure.privatelinkservice", ""),
        ("link-service", f"internal-ingress.{GUID}.westeurope.azure.priv", "add atelinkservice", "atelinkservice"),
        ("link-service", f"internal-ingress.{GUID}.westeurope.azure", "add .privatelinkservice", ".privatelinkservice"),
        ("subscription-id", GUID[:13], "add the last 23 of 36 characters of the subscription ID", ""),
        ("hostname", "dpm", "add the domain, such as .example.com: the whole name is needed", ""),
        ("hostname", "dpm.example.link.", "leave out the dot at the end, or type on after it", ""),
        ("chart-version", "1.2", "add to the version: three numbers with dots, 2 so far", ""),
        ("chart-ref", "oci:", "add //HOST/PATH", "//"),
        ("duration", "90", "add the unit: s, m or h", ""),
        ("private-ip", "10.20", "add to the address: four numbers with dots, 2 so far", ""),
    ],
)
def test_right_so_far(kind: str, text: str, next_: str, completion: str) -> None:
    parsed = parse(kind, text)
    assert (parsed.state, parsed.next, parsed.completion) == ("not complete", next_, completion)
    assert next_ in (parsed.message or "")
    assert all(part.state != "bad" for part in parsed.parts)


def test_says_which_parts_are_right() -> None:
    parsed = parse("endpoint-id", "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-net/prov")
    assert [tuple(part) for part in parsed.parts] == [
        ("subscription", "11111111-2222-3333-4444-555555555555", "ok"),
        ("resource group", "rg-net", "ok"),
        ("type", "", "missing"),
        ("name", "", "missing"),
    ]
    parsed = parse("link-service", f"internal-ingress.{GUID}.westeurope.azure.priv")
    assert [(part.name, part.state) for part in parsed.parts] == [
        ("name", "ok"), ("GUID", "ok"), ("region", "ok"), ("end", "missing"),
    ]  # fmt: skip


def test_only_the_first_wrong_part_is_named() -> None:
    parsed = parse("endpoint-id", SERVICE.replace("rg-net", "rg net"))
    assert [part.state for part in parsed.parts] == ["ok", "bad", "missing", "missing"]


def test_notes_what_is_known_about_a_right_value() -> None:
    assert parse("link-service", ALIAS).note == 'alias of service "internal-ingress" in westeurope'
    assert "sample" in parse("subscription-id", "11111111-2222-3333-4444-555555555555").note
    assert "sample" in parse("endpoint-id", ENDPOINT.replace(GUID, "11111111-2222-3333-4444-555555555555")).note
    assert "look twice" in parse("private-ip", "10.20.1.0").note
    assert "values.yml" in parse("values-path", "/tmp/values.txt").note


@pytest.mark.parametrize("kind", FIELD_KINDS)
@pytest.mark.parametrize("text", ["", "  ", "\n", '""', "\ufeff"])
def test_empty_says_where_to_find_it(kind: str, text: str) -> None:
    parsed = parse(kind, text)
    assert parsed.state == "empty"
    assert parsed.message


def test_an_endpoint_of_an_unregistered_subscription_is_named_with_both() -> None:
    parsed = parse("endpoint-id", ENDPOINT, Known(subscription_ids=(OTHER,)))
    assert not parsed.ok
    assert GUID in (parsed.message or "")
    assert OTHER in (parsed.message or "")
    assert parse("endpoint-id", ENDPOINT, Known(subscription_ids=(OTHER, GUID.upper()))).ok
    assert parse("vnet-id", VNET, Known(subscription_ids=(OTHER,))).ok, "a network may be in another subscription"


def test_an_address_must_be_in_the_known_subnet_and_not_kept_by_azure() -> None:
    known = Known(subnet_prefixes=("10.20.1.0/27",))
    assert parse("private-ip", "10.20.1.4", known).ok
    assert "Azure keeps" in (parse("private-ip", "10.20.1.3", known).message or "")
    assert "Azure keeps" in (parse("private-ip", "10.20.1.31", known).message or "")
    assert "not in the subnet" in (parse("private-ip", "10.20.1.32", known).message or "")


def test_an_unknown_host_is_noted_not_refused() -> None:
    known = Known(hosts=("dpm.example.link",))
    assert parse("hostname", "dpm.example.link", known).note == ""
    assert "not among" in parse("hostname", "dpm2.example.link", known).note


@pytest.mark.parametrize("kind", [kind for kind in FIELD_KINDS if kind not in SECRET_KINDS])
@pytest.mark.parametrize(
    "token",
    [
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        "q8Zk3Vt0Xw1Lr9Bn4Ms7Ty2Pd6Hf5Jc0Gv8Ka+ACRDtQx3",
    ],
)
def test_a_token_in_the_wrong_field_is_not_repeated(kind: str, token: str) -> None:
    parsed = parse(kind, f" {token}\n")
    assert parsed.state == "wrong"
    assert "token" in (parsed.message or "")
    shown = " ".join([parsed.message or "", parsed.next, parsed.note, *(part.value for part in parsed.parts)])
    assert token[:12] not in shown


@pytest.mark.parametrize("kind", FIELD_KINDS)
@pytest.mark.parametrize("piece", ["a", "/", " \n", "a.", "-", "<", "$(", "\x1b]", "1.", "eyJ", "=", "{a"])
def test_a_megabyte_is_answered_at_once(kind: str, piece: str) -> None:
    for size in (4096, 1_000_000):
        parsed = parse(kind, piece * (size // len(piece)))
        assert not parsed.ok or size == 4096
        assert len(parsed.message or "") < 400


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1h", 3600)])
def test_seconds_of_a_duration(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


def test_validating_loads_nothing_heavy() -> None:
    heavy = {"msgspec", "yaml", "filelock", "dataclasses", "ipaddress", "dns", "azure", "urllib.parse"}
    code = (
        "import sys; from wizard.identifiers import parse, KINDS; [parse(kind, 'x') for kind in KINDS];"
        f"print(*sorted({heavy} & set(sys.modules)))"
    )
    # -S: an editable install's own finder would load modules before us.
    here = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=here)
    assert done.stdout.split() == []
