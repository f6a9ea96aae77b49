"""What a cloud says about itself to everybody, so that tools find their way in it (`az cloud register`)."""

from __future__ import annotations

from wizard.sandbox.arm.messages import Obj

PUBLIC_AUDIENCES = ("https://management.azure.com/", "https://management.core.windows.net/")
"""What SDKs ask a token for when nobody told them that this is another cloud."""


def endpoints(base: str, tenant: str) -> Obj:
    """The body of /metadata/endpoints (api-version 2022-09-01). Every address leads back here, never to real Azure.

    `base` is the server's own URL.
    """
    return {
        "name": "Sandbox",
        "portal": base,
        "authentication": {
            "loginEndpoint": base,
            "audiences": [f"{base}/", *PUBLIC_AUDIENCES],
            "tenant": tenant,
            "identityProvider": "AAD",
        },
        "resourceManager": f"{base}/",
        "media": base,
        "graphAudience": base,
        "graph": base,
        "microsoftGraphResourceId": base,
        "activeDirectoryDataLake": base,
        "batch": base,
        "sqlManagement": base,
        "vmImageAliasDoc": f"{base}/aliases.json",
        "logAnalyticsResourceId": base,
        "gallery": base,
        "suffixes": {
            "storage": "storage.sandbox.test",
            "keyVaultDns": "vault.sandbox.test",
            "sqlServerHostname": "database.sandbox.test",
            "acrLoginServer": "registry.sandbox.test",
        },
    }
