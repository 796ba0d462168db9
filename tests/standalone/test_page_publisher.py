"""The page on its way to a deployed stack: what is uploaded, in which order, with which headers; what is refused."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from moto import mock_aws
from vsv.errors import SettingsError, UnavailableError

from vsv_local import web_assets
from vsv_local.export import page_publisher
from vsv_local.export.page_publisher import main, publish

BUCKET, STACK, REGION = "page-of-a-hospital", "vsv-dev", "eu-central-1"
OUTPUTS = {
    "WebBucketName": BUCKET,
    "UserPoolIssuer": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE",
    "PeopleClientId": "4k1exampleclient",
    "LoginDomain": "https://hospital.auth.eu-central-1.amazoncognito.com",
    "GraphqlDomain": "abcdefghij.appsync-api.eu-central-1.amazonaws.com",
    "SiteUrl": "https://slides.example.org",
}


@dataclass
class Cloud:
    """A deployed stack: a bucket, a distribution, outputs; and what the last publication said."""

    session: Any
    distribution: str
    said: list[str] = field(default_factory=list)

    def client(self, name: str) -> Any:
        return self.session.client(name)

    def publish(self) -> list[str]:
        """Publish, and give what was said before the last sentence."""
        self.said.clear()
        publish(STACK, self.session, self.said.append)
        assert self.said.pop() == "The page is published: https://slides.example.org"
        return self.said

    def head(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client("s3").head_object(Bucket=BUCKET, Key=key)
        return found

    def body(self, key: str) -> bytes:
        found: bytes = self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return found

    def listed(self) -> set[str]:
        return {one["Key"] for one in self.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", ())}

    def forgotten(self) -> list[set[str]]:
        """Return the paths of each invalidation."""
        client, where = self.client("cloudfront"), {"DistributionId": self.distribution}
        listed = client.list_invalidations(**where)["InvalidationList"].get("Items", ())
        found = [client.get_invalidation(Id=one["Id"], **where)["Invalidation"] for one in listed]
        return [set(one["InvalidationBatch"]["Paths"]["Items"]) for one in found]

    def deploy(self, outputs: dict[str, str]) -> None:
        bucket = {"Type": "AWS::S3::Bucket"}
        values = {name: {"Value": value} for name, value in outputs.items()}
        template = json.dumps({"Resources": {"Other": bucket}, "Outputs": values})
        cloudformation = self.client("cloudformation")
        if any(one["StackName"] == STACK for one in cloudformation.describe_stacks()["Stacks"]):
            cloudformation.delete_stack(StackName=STACK)
        cloudformation.create_stack(StackName=STACK, TemplateBody=template)


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small page in place of the real one."""
    files = {
        "index.html": "<!doctype html>", "main.js": "start();", "login/signin.js": "enter();",
        "style/base.css": "p {}", "package.json": "{}", "types.d.ts": "", "node_modules/lib/lib.min.js": "lib();",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(web_assets, "WEB", tmp_path)
    libraries = {"/vendor/lib-1.0.0.min.js": tmp_path / "node_modules/lib/lib.min.js"}
    monkeypatch.setattr(web_assets, "LIBRARIES", libraries)
    return tmp_path


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "fake")
    with mock_aws():
        session = boto3.Session(region_name=REGION)
        s3 = session.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        config = {
            "CallerReference": "site",
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [{"Id": "o", "DomainName": "o.example.org"}]},
            "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only"},
        }
        made = session.client("cloudfront").create_distribution(DistributionConfig=config)["Distribution"][
            "Id"
        ]
        found = Cloud(session, made)
        found.deploy({**OUTPUTS, "DistributionId": made})
        yield found


ALL = ["vendor/lib-1.0.0.min.js", "login/signin.js", "main.js", "style/base.css", "index.html", "config.json"]


def test_first_publication_uploads_every_file_and_the_settings_last(cloud: Cloud, web: Path) -> None:
    assert cloud.publish() == [f"uploaded {key}" for key in ALL]
    assert cloud.listed() == set(ALL)
    assert cloud.body("main.js") == b"start();"
    assert json.loads(cloud.body("config.json")) == {
        "authority": OUTPUTS["UserPoolIssuer"],
        "clientId": OUTPUTS["PeopleClientId"],
        "loginDomain": OUTPUTS["LoginDomain"],
        "graphqlHost": OUTPUTS["GraphqlDomain"],
    }


def test_publication_sets_content_type_and_cache_control_of_each_file(cloud: Cloud, web: Path) -> None:
    cloud.publish()
    served = {key: (cloud.head(key)["ContentType"], cloud.head(key)["CacheControl"]) for key in ALL}
    javascript = "text/javascript; charset=utf-8"
    assert served == {
        "vendor/lib-1.0.0.min.js": (javascript, "public, max-age=31536000, immutable"),
        "login/signin.js": (javascript, "no-cache"),
        "main.js": (javascript, "no-cache"),
        "style/base.css": ("text/css; charset=utf-8", "no-cache"),
        "index.html": ("text/html; charset=utf-8", "no-cache"),
        "config.json": ("application/json", "no-cache"),
    }


def test_second_publication_without_changes_uploads_and_invalidates_no_file(cloud: Cloud, web: Path) -> None:
    cloud.publish()
    forgotten = cloud.forgotten()
    assert cloud.publish() == []
    assert cloud.forgotten() == forgotten


def test_publication_uploads_and_invalidates_only_changed_files(cloud: Cloud, web: Path) -> None:
    cloud.publish()
    before = cloud.forgotten()
    (web / "index.html").write_text("<!doctype html><p>")
    (web / "login/signin.js").unlink()
    assert cloud.publish() == ["uploaded index.html", "removed login/signin.js"]
    assert "login/signin.js" not in cloud.listed()
    (forgotten,) = [one for one in cloud.forgotten() if one not in before]
    assert forgotten == {"/index.html", "/", "/login/signin.js"}


def test_removed_file_remains_as_an_older_version_in_the_bucket(cloud: Cloud, web: Path) -> None:
    cloud.publish()
    (web / "main.js").unlink()
    cloud.publish()
    versions = cloud.client("s3").list_object_versions(Bucket=BUCKET, Prefix="main.js")
    assert len(versions["Versions"]) == len(versions["DeleteMarkers"]) == 1


def test_changed_library_is_replaced_without_invalidation(
    cloud: Cloud, web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.publish()
    before = cloud.forgotten()
    library = web / "node_modules/lib/lib.min.js"
    monkeypatch.setattr(web_assets, "LIBRARIES", {"/vendor/lib-2.0.0.min.js": library})
    assert cloud.publish() == ["uploaded vendor/lib-2.0.0.min.js", "removed vendor/lib-1.0.0.min.js"]
    assert cloud.forgotten() == before
    assert not any(path.startswith("/vendor") for one in before for path in one)


def test_next_publication_completes_an_interrupted_publication(
    cloud: Cloud, web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = page_publisher._put

    def break_off(s3: Any, bucket: str, file: page_publisher.WebFile) -> None:
        if file.key == "index.html":
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "slow down"}}, "PutObject")
        put(s3, bucket, file)

    monkeypatch.setattr(page_publisher, "_put", break_off)
    with pytest.raises(UnavailableError, match=r"half published.*SlowDown.*Run this again"):
        cloud.publish()
    assert "config.json" not in cloud.listed()  # a page whose settings are there is a whole page
    monkeypatch.setattr(page_publisher, "_put", put)
    assert cloud.publish() == ["uploaded index.html", "uploaded config.json"]


def test_changed_client_id_uploads_only_the_settings(cloud: Cloud, web: Path) -> None:
    cloud.publish()
    cloud.deploy({**OUTPUTS, "DistributionId": cloud.distribution, "PeopleClientId": "another"})
    assert cloud.publish() == ["uploaded config.json"]


class TestRefusals:
    def test_missing_libraries_are_refused_before_any_upload(self, cloud: Cloud, web: Path) -> None:
        (web / "node_modules/lib/lib.min.js").unlink()
        with pytest.raises(SettingsError, match="run scripts/web"):
            cloud.publish()
        assert cloud.listed() == set()

    def test_missing_stack_is_refused_by_name(self, cloud: Cloud, web: Path) -> None:
        cloud.client("cloudformation").delete_stack(StackName=STACK)
        with pytest.raises(SettingsError, match="no stack vsv-dev"):
            cloud.publish()

    def test_missing_stack_outputs_are_refused_by_name(self, cloud: Cloud, web: Path) -> None:
        cloud.deploy({"WebBucketName": BUCKET, "SiteUrl": OUTPUTS["SiteUrl"]})
        missing = [name for name in page_publisher.OUTPUTS if name not in {"WebBucketName", "SiteUrl"}]
        with pytest.raises(SettingsError, match=f"has no {', '.join(missing)}: deploy"):
            cloud.publish()
        assert cloud.listed() == set()

    def test_login_domain_without_https_is_refused(self, cloud: Cloud, web: Path) -> None:
        cloud.deploy({**OUTPUTS, "DistributionId": cloud.distribution, "LoginDomain": "http://login.example"})
        with pytest.raises(SettingsError, match="https"):
            cloud.publish()

    @pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED", "ROLLBACK_COMPLETE"])
    def test_stack_with_unfinished_deployment_is_refused(self, status: str) -> None:
        class Deploying:
            def describe_stacks(self, **_: Any) -> Any:
                return {"Stacks": [{"StackStatus": status}]}

        with pytest.raises(SettingsError, match=status):
            page_publisher._outputs(Deploying(), STACK)

    def test_bucket_with_foreign_objects_is_refused_and_left_unchanged(self, cloud: Cloud, web: Path) -> None:
        s3 = cloud.client("s3")
        for number in range(page_publisher.MAX_FOREIGN + 1):
            s3.put_object(Bucket=BUCKET, Key=f"slides/{number}.svs", Body=b"")
        with pytest.raises(SettingsError, match="not the page's: nothing was done"):
            cloud.publish()
        assert len(cloud.listed()) == page_publisher.MAX_FOREIGN + 1


def test_command_reports_a_missing_stack_and_how_to_deploy(cloud: Cloud, web: Path) -> None:
    run = CliRunner().invoke(main, ["no-such-stack", "--region", REGION])
    assert run.exit_code == 1
    assert run.output == (
        "Error: There is no stack no-such-stack in this account and region: run sam deploy first.\n"
    )
    assert CliRunner().invoke(main, [STACK, "--region", REGION]).exit_code == 0


def test_publication_of_the_real_page_uploads_its_libraries_and_no_tool_files(cloud: Cloud) -> None:
    if not web_assets.libraries_installed():
        pytest.skip("the page's packages are not installed: scripts/web")
    cloud.publish()
    assert {
        "index.html",
        "main.js",
        "login/signin.js",
        "config.json",
        *(one[1:] for one in web_assets.LIBRARIES),
    } <= (cloud.listed())
    assert not [
        key for key in cloud.listed() if "node_modules" in key or key.endswith((".ts", "package.json"))
    ]
