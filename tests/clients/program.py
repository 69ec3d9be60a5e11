"""What an integrator writes with the package made from the document."""

import json
import os
from datetime import datetime

from celaest_core_client import AuthenticatedClient, Client
from celaest_core_client.api.licenses import create_license, get_license, list_licenses, validate_license
from celaest_core_client.models import ErrorCode, LicenseStatus, NewLicense, Validation, VerdictCode

url, plan = os.environ["CELAEST_URL"], os.environ["CELAEST_PLAN"]
client = AuthenticatedClient(base_url=url, token=os.environ["CELAEST_TOKEN"])

license = create_license.sync(client=client, body=NewLicense(plan_id=plan, notes="generated")).data
assert isinstance(license.created_at, datetime)
verdict = validate_license.sync(client=Client(base_url=url), body=Validation(license_key=license.license_key)).data
assert verdict.code == VerdictCode.VALID
page = list_licenses.sync(client=client, status=LicenseStatus.ACTIVE, per_page=100)
refusal = get_license.sync(client=client, id=plan)
assert refusal.error.code == ErrorCode.LICENSE_NOT_FOUND

print(json.dumps({
    "created": str(license.id),
    "validated": str(verdict.license_.id),
    "listed": license.id in [row.id for row in page.data],
    "total": page.meta.total,
}))
