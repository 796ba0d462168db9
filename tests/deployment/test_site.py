"""The site as CloudFront serves it: which address goes where, and that no image can be had around it."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from serve_image.handler import lambda_handler
from serve_image.protocols import PROTOCOLS
from serve_image.same_origin import VARY
from vsv import runtime
from vsv.settings import Settings

from tests.support.aws.cloudformation import Template, template
from tests.support.paths import ROOT
from tests.support.servers.javascript import needs_node, run
from tests.support.slides.aperio import Plan, write_slide
from vsv_local.server.api_gateway_events import http_event
from vsv_local.web_assets import SECURITY_HEADERS

WEB, IMAGES = (template(ROOT / f"stacks/{name}.yaml") for name in ("web", "images"))
NOT_CACHED, ALL_BUT_HOST = (
    # "Use managed cache policies" and "Use managed origin request policies", Amazon CloudFront developer guide.
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
    "b689b0a8-53d0-40ab-baf2-68738e2966ac",
)


def ref(name: str) -> Any:
    """Return the value of Ref for a resource of the web stack."""
    return WEB.value({"Ref": name})


def distribution(of: Template = WEB) -> dict[str, Any]:
    """Return the distribution's settings as deployed."""
    found: dict[str, Any] = of.value(of.properties("Site")["DistributionConfig"])
    return found


def request_policy(name: str) -> dict[str, Any]:
    """Return an origin request policy's settings."""
    found: dict[str, Any] = WEB.value(WEB.properties(name)["OriginRequestPolicyConfig"])
    return found


def function_arn(name: str) -> str:
    """Return the ARN of a CloudFront function."""
    found: str = WEB.value({"Fn::GetAtt": [name, "FunctionMetadata.FunctionARN"]})
    return found


@pytest.fixture
def slide_a(tmp_path: Path) -> Iterator[None]:
    """Serve the slide A."""
    services = runtime.on_aws(Settings(tmp_path / "data", tile_caching="public", allow_origin=""))
    services.files.prepare()
    services.files.folder("A").mkdir()
    write_slide(services.files.slide("A"), Plan(300, 200))
    runtime.use(services)
    yield
    runtime.use(None)


SITE_ARN = f"arn:aws:cloudfront::123456789012:distribution/{ref('Site')}"


def behaviour(path: str) -> dict[str, Any]:
    """Return the behaviour that CloudFront chooses: the first whose pattern matches, case-sensitively."""
    config = distribution()
    fitting = (one for one in config["CacheBehaviors"] if fnmatchcase(path, one["PathPattern"]))
    return next(fitting, config["DefaultCacheBehavior"])


def origin(name: str) -> dict[str, Any]:
    """Return an origin's settings."""
    (found,) = (one for one in distribution()["Origins"] if one["Id"] == name)
    return found


class TestAddresses:
    @pytest.mark.parametrize(
        ("path", "goes_to"),
        [
            ("/", "page"),
            ("/config.json", "page"),
            ("/viewer/viewer.js", "page"),
            ("/deepzoom/i01_files/label.jpeg", "page"),
            ("/graphql", "graphql"),
            ("/graphql/realtime", "realtime"),
            ("/session", "api"),
            ("/ImportSlide", "api"),
            ("/DeepZoom/i01.dzi", "images"),
            ("/DeepZoom/i01_files/10/0_0.jpeg", "images"),
            ("/DeepZoom/i01_files/thumbnail.jpeg", "images"),
            ("/DeepZoom/i01_files/label.jpeg", "api"),
            ("/DeepZoom/i01_files/label.jpg", "api"),
            ("/DeepZoom/i01_files/macro.jpeg", "api"),
            ("/DeepZoom/label_files/10/0_0.jpeg", "images"),
            ("/iiif/i01/full/max/0/default.jpg", "images"),
            ("/iiif/i01/info.json", "images"),
            ("/iiif/2/i01/manifest.json", "images"),
            ("/iiif", "page"),
            ("/webgateway/render_image_region/1/0/0/", "images"),
            ("/webclient/render_thumbnail/1/", "images"),
            ("/webgateway/imgData/1/", "images"),
            ("/api/", "images"),
            ("/api/v0/m/images/1", "images"),
            ("/tile", "page"),
        ],
    )
    def test_path_is_routed_to_its_origin(self, path: str, goes_to: str) -> None:
        assert behaviour(path)["TargetOriginId"] == goes_to

    def test_tiles_and_page_alone_are_cached_at_the_edge(self) -> None:
        kept = {
            one.get("PathPattern", "*")
            for one in [*distribution()["CacheBehaviors"], distribution()["DefaultCacheBehavior"]]
            if one["CachePolicyId"] != NOT_CACHED
        }
        assert kept == {"/DeepZoom/*", "/iiif/*", "/webgateway/*", "/webclient/*", "*"}

    @pytest.mark.parametrize("prefix", PROTOCOLS)
    def test_each_protocol_is_routed_to_images_and_requires_a_session(self, prefix: str) -> None:
        one = behaviour(f"{prefix}anything/else")
        assert (one["TargetOriginId"], one["TrustedKeyGroups"]) == ("images", [ref("SessionKeys")])
        functions = {each["EventType"]: each["FunctionARN"] for each in one["FunctionAssociations"]}
        assert functions["viewer-response"] == function_arn("PrivateTiles")

    @pytest.mark.parametrize(
        "path",
        [
            "/iiif/i01/manifest.json", "/iiif/2/i01/manifest.json", "/iiif/3/i01/manifest.json",
            "/webgateway/imgData/1", "/webgateway/imgData/1/", "/webgateway/imgData/1/meta/", "/webclient/imgData/1/",
            "/api/v0/m/images/1", "/api/v0/m/images/1/",
        ],
    )  # fmt: skip
    def test_documents_with_label_texts_are_not_cached_and_receive_origin_headers(self, path: str) -> None:
        one = behaviour(path)
        assert (one["TargetOriginId"], one["TrustedKeyGroups"]) == ("images", [ref("SessionKeys")])
        assert one["CachePolicyId"] == NOT_CACHED
        assert one["OriginRequestPolicyId"] == ref("DocumentRequest")
        asked = request_policy("DocumentRequest")
        assert set(asked["HeadersConfig"]["Headers"]) == {*map(str.lower, VARY.split(", ")), "x-vsv-host"}
        assert asked["QueryStringsConfig"] == {"QueryStringBehavior": "all"}
        assert asked["CookiesConfig"] == {"CookieBehavior": "none"}

    @pytest.mark.parametrize("path", ["/iiif/i01/manifest%2Ejson", "/webgateway//imgData/1/"])
    def test_encoded_document_address_still_receives_origin_headers(self, path: str) -> None:
        assert behaviour(path)["OriginRequestPolicyId"] == ref("PictureRequest")
        asked = request_policy("PictureRequest")
        assert set(asked["HeadersConfig"]["Headers"]) == set(map(str.lower, VARY.split(", ")))
        assert asked["CookiesConfig"] == {"CookieBehavior": "none"}
        assert asked["QueryStringsConfig"] == {"QueryStringBehavior": "none"}

    @pytest.mark.parametrize("path", ["/iiif/i01/info.json", "/iiif/i01/manifest.json", "/api/", "/api/v0/"])
    def test_documents_with_addresses_receive_the_requested_host(self, path: str) -> None:
        functions = {
            each["EventType"]: each["FunctionARN"] for each in behaviour(path)["FunctionAssociations"]
        }
        assert functions["viewer-request"] == function_arn("IiifRequest")

    def test_api_origins_alone_receive_all_viewer_headers(self) -> None:
        for one in distribution()["CacheBehaviors"]:
            is_api = one["TargetOriginId"] != "images"
            assert (one.get("OriginRequestPolicyId") == ALL_BUT_HOST) == is_api, one["PathPattern"]

    def test_error_responses_are_not_cached(self) -> None:
        errors = distribution()["CustomErrorResponses"]
        assert {one["ErrorCode"] for one in errors} >= {403, 404, 500, 502, 503, 504}
        assert {one["ErrorCachingMinTTL"] for one in errors} == {0}

    def test_viewers_and_origins_are_reached_by_https_alone(self) -> None:
        config = distribution()
        assert {one["ViewerProtocolPolicy"] for one in config["CacheBehaviors"]} == {"https-only"}
        assert config["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https"
        custom = [one["CustomOriginConfig"] for one in config["Origins"] if "CustomOriginConfig" in one]
        assert {one["OriginProtocolPolicy"] for one in custom} == {"https-only"}

    def test_custom_domain_has_its_certificate_and_minimum_tls_version(self) -> None:
        certificate = "arn:aws:acm:us-east-1:123456789012:certificate/0"
        own = replace(
            WEB, given=WEB.given | {"SiteDomain": "slides.example.org", "CertificateArn": certificate}
        )
        config = distribution(own)
        assert config["Aliases"] == ["slides.example.org"]
        assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
        assert own.value(own.properties("PeopleClient")["CallbackURLs"]) == ["https://slides.example.org/"]
        assert "Aliases" not in distribution()


class TestOriginAccess:
    def test_tile_function_accepts_signed_calls_of_this_distribution_alone(self) -> None:
        assert behaviour("/DeepZoom/i01_files/10/0_0.jpeg")["TrustedKeyGroups"] == [ref("SessionKeys")]
        address = IMAGES.properties("ServeImageFunction")["FunctionUrlConfig"]
        assert address == {"AuthType": "AWS_IAM", "InvokeMode": "BUFFERED"}
        assert origin("images")["OriginAccessControlId"] == WEB.value({"Fn::GetAtt": ["ImageAccess", "Id"]})
        access = WEB.properties("ImageAccess")["OriginAccessControlConfig"]
        assert (access["OriginAccessControlOriginType"], access["SigningBehavior"]) == ("lambda", "always")
        permissions = [
            WEB.value(WEB.properties(name))
            for name in ("SiteMayCallImageAddress", "SiteMayCallImageFunction")
        ]
        assert {one["Action"] for one in permissions} == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
        for one in permissions:
            assert one["Principal"] == "cloudfront.amazonaws.com"
            assert one["SourceArn"] == SITE_ARN
        assert permissions[1]["InvokedViaFunctionUrl"] is True

    def test_label_routes_require_token_and_edge_secret(self) -> None:
        routes = {one["Properties"]["RouteKey"]: name for name, one in _routes().items()}
        assert {"GET /DeepZoom/{proxy+}", "HEAD /DeepZoom/{proxy+}"} <= routes.keys()
        for name in routes.values():
            route = WEB.properties(name)
            assert route["AuthorizationType"] == "JWT"
            assert route["AuthorizerId"] == {"Ref": "PeopleAuthorizer"}
        ((header),) = origin("api")["OriginCustomHeaders"]
        label = IMAGES.properties("ServeLabelFunction")["Environment"]["Variables"]["VSV_EDGE_SECRET"]
        assert header["HeaderName"] == "x-vsv-edge"
        assert _key_of(header["HeaderValue"]) == _key_of(IMAGES.value(label)) == "v1"
        assert not any(
            "OriginCustomHeaders" in one for one in distribution()["Origins"] if one["Id"] != "api"
        )

    def test_new_edge_secret_version_changes_secret_and_references(self) -> None:
        web, images = (replace(one, given=one.given | {"EdgeSecretVersion": 2}) for one in (WEB, IMAGES))
        made = images.value(images.properties("EdgeSecret")["GenerateSecretString"])["GenerateStringKey"]
        (api,) = (one for one in distribution(web)["Origins"] if one["Id"] == "api")
        label = images.properties("ServeLabelFunction")["Environment"]["Variables"]["VSV_EDGE_SECRET"]
        used = {_key_of(api["OriginCustomHeaders"][0]["HeaderValue"]), _key_of(images.value(label))}
        assert used == {made} == {"v2"}

    def test_page_bucket_is_readable_by_this_distribution_alone(self) -> None:
        statements = WEB.value(WEB.properties("WebBucketPolicy"))["PolicyDocument"]["Statement"]
        deny, allow = statements
        assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
        assert (allow["Action"], allow["Principal"]) == (
            "s3:GetObject",
            {"Service": "cloudfront.amazonaws.com"},
        )
        assert allow["Condition"]["StringEquals"] == {"aws:SourceArn": SITE_ARN}

    def test_image_functions_may_not_write_files(self) -> None:
        for role in ("ServeImageRole", "ServeLabelRole"):
            policies = IMAGES.properties(role)["Policies"]
            actions = [s["Action"] for p in policies for s in p["PolicyDocument"]["Statement"]]
            assert "elasticfilesystem:ClientMount" in actions
            assert "elasticfilesystem:ClientWrite" not in str(actions)


def _routes() -> dict[str, Any]:
    return WEB.resources("AWS::ApiGatewayV2::Route")


def _key_of(reference: str) -> str:
    found = re.fullmatch(r"\{\{resolve:secretsmanager:\S+:SecretString:(\w+)\}\}", reference)
    assert found, reference
    return found[1]


class TestHeaders:
    def test_content_security_policy_is_that_of_the_standalone_server_plus_login(self) -> None:
        services, there = (
            _directives(SECURITY_HEADERS["content-security-policy"]),
            _directives(_policy("PageHeaders")),
        )
        assert services.keys() == there.keys()
        more = {name: there[name] - services[name] for name in there if there[name] - services[name]}
        login = {"https://some-UserPoolDomain", "https://cognito-idp.eu-central-1.amazonaws.com"}
        assert more.pop("img-src", {"blob:"}) == {"blob:"}  # labels are fetched with a token
        assert more == {"connect-src": login}
        assert all(services[name] <= there[name] for name in services)
        assert "unsafe" not in _policy("PageHeaders")

    def test_data_responses_have_no_cors_header(self) -> None:
        headers = WEB.properties("DataHeaders")["ResponseHeadersPolicyConfig"]
        assert headers["RemoveHeadersConfig"]["Items"] == [{"Header": "access-control-allow-origin"}]
        assert "CorsConfig" not in headers
        for one in distribution()["CacheBehaviors"]:
            is_socket = one["PathPattern"] == "/graphql/realtime"
            assert one.get("ResponseHeadersPolicyId") == (None if is_socket else ref("DataHeaders"))

    @pytest.mark.parametrize(
        ("path", "query", "headers", "longest_s"),
        [
            ("/DeepZoom/i01.dzi", ["tilesize", "overlap", "fmt", "icc", "intent", "v"], [], 31_536_000),
            ("/iiif/i01/info.json", ["icc", "intent"], ["accept", "x-vsv-host"], 86_400),
            ("/webgateway/render_image/1/", "all", [], 86_400),
            ("/webclient/render_image/1/", "all", [], 86_400),
        ],
    )
    def test_cache_key_contains_exactly_what_changes_the_picture(
        self, path: str, query: Any, headers: list[str], longest_s: int
    ) -> None:
        policies = {ref(name): name for name in WEB.resources("AWS::CloudFront::CachePolicy")}
        kept = WEB.value(WEB.properties(policies[behaviour(path)["CachePolicyId"]])["CachePolicyConfig"])
        key = kept["ParametersInCacheKeyAndForwardedToOrigin"]
        queries = key["QueryStringsConfig"]
        assert queries.get("QueryStrings", queries["QueryStringBehavior"]) == query
        assert key["CookiesConfig"] == {"CookieBehavior": "none"}
        assert key["HeadersConfig"].get("Headers", []) == headers
        # "no-cache" and "private" are obeyed only where MinTTL is 0: "Manage how long content stays in the cache".
        assert (kept["MinTTL"], kept["DefaultTTL"], kept["MaxTTL"]) == (0, 0, longest_s)


def _policy(name: str) -> str:
    headers = WEB.value(WEB.properties(name)["ResponseHeadersPolicyConfig"])
    found: str = headers["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    return found


def _directives(policy: str) -> dict[str, set[str]]:
    parts = [part.split() for part in policy.split(";") if part.strip()]
    return {name: set(sources) for name, *sources in parts}


@needs_node
class TestEdgeFunctions:
    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ("public, max-age=31536000, immutable", "private, max-age=31536000, immutable"),
            ("Public, no-cache", "private, no-cache"),
            ("no-store", "no-store"),
            ("private, max-age=60", "private, max-age=60"),
        ],
    )
    def test_public_caching_becomes_private_for_browsers(self, tmp_path: Path, said: str, told: str) -> None:
        response = {"statusCode": 200, "headers": {"cache-control": {"value": said}}}
        assert _handled("PrivateTiles", {"response": response}, tmp_path) == {
            "statusCode": 200,
            "headers": {"cache-control": {"value": told}},
        }

    def test_response_without_cache_control_is_unchanged(self, tmp_path: Path) -> None:
        response = {"statusCode": 304, "headers": {}}
        assert _handled("PrivateTiles", {"response": response}, tmp_path) == response

    @pytest.mark.parametrize(
        ("path", "accept", "kind"),
        [
            ("/iiif/A/info.json", None, "*/*"),
            ("/iiif/A/info.json", "application/json", "*/*"),
            ("/iiif/A/info.json", "text/html, application/ld+json;q=0.9", "application/ld+json"),
            ("/iiif/A/full/max/0/default.jpg", "application/ld+json", "*/*"),
        ],
    )
    def test_iiif_request_gets_host_header_and_normalized_accept(
        self, tmp_path: Path, path: str, accept: str | None, kind: str
    ) -> None:
        headers = {"host": {"value": "slides.example.org"}, "x-vsv-host": {"value": "evil.example"}}
        if accept:
            headers["accept"] = {"value": accept}
        request = {
            "method": "GET",
            "uri": path,
            "querystring": {"icc": {"value": "srgb"}},
            "headers": headers,
        }
        assert _handled("IiifRequest", {"request": request}, tmp_path) == request | {
            "headers": {
                "host": {"value": "slides.example.org"},
                "x-vsv-host": {"value": "slides.example.org"},
                "accept": {"value": kind},
            }
        }

    def test_iiif_info_contains_the_address_of_the_site(self, tmp_path: Path, slide_a: None) -> None:
        request = {
            "method": "GET",
            "uri": "/iiif/A/info.json",
            "querystring": {},
            "headers": {"host": {"value": "slides.example.org"}, "accept": {"value": "application/ld+json"}},
        }
        made = _handled("IiifRequest", {"request": request}, tmp_path)
        # As CloudFront hands it on: the function's own host, and what the cache policy names.
        sent = {name: made["headers"][name]["value"] for name in ("accept", "x-vsv-host")}
        sent["host"] = "abcdefgh.lambda-url.eu-central-1.on.aws"
        headers = [(name.encode(), value.encode()) for name, value in sent.items()]
        answer = lambda_handler(http_event("GET", made["uri"], "", headers), None)
        assert json.loads(base64.b64decode(answer["body"]))["id"] == "https://slides.example.org/iiif/A"
        assert answer["headers"]["content-type"].startswith("application/ld+json")
        assert answer["headers"]["cache-control"] == "private, no-cache"

    def test_realtime_path_is_rewritten_to_graphql(self, tmp_path: Path) -> None:
        request = {"method": "GET", "uri": "/graphql/realtime", "querystring": {"header": {"value": "e30"}}}
        assert _handled("RealtimePath", {"request": request}, tmp_path) == request | {"uri": "/graphql"}


def _handled(name: str, event: dict[str, Any], folder: Path) -> Any:
    code = WEB.properties(name)["FunctionCode"]
    return run(f"{code}\nexport {{ handler }};", folder, ("handler", event))[0]["value"]


class TestSigningKeys:
    def test_key_slot_accepts_public_key_lines_of_openssl(self) -> None:
        key = generate_private_key(65537, 2048).public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        lines = ",".join(pem.splitlines()[1:-1])
        for slot in "AB":
            name = f"SigningPublicKey{slot}"
            assert re.search(WEB.parameters[name]["AllowedPattern"], lines)
            filled = replace(WEB, given=WEB.given | {name: lines})
            config = filled.value(filled.properties(f"SigningKey{slot}")["PublicKeyConfig"])
            assert config["EncodedKey"] == pem
            assert load_pem_public_key(config["EncodedKey"].encode()) == key
            assert base64.b64decode(config["CallerReference"])

    def test_private_key_is_refused_as_parameter(self) -> None:
        assert not re.search(
            WEB.parameters["SigningPublicKeyA"]["AllowedPattern"], "-----BEGIN PRIVATE KEY-----"
        )
        for slot in "AB":
            assert WEB.properties(f"SigningSecret{slot}").keys() == {"Description"}

    @pytest.mark.parametrize(("slot", "other"), ["AB", "BA"])
    def test_key_in_use_selects_secret_and_key_together(self, slot: str, other: str) -> None:
        given = {"SigningKeyInUse": slot, "SigningPublicKeyA": "a", "SigningPublicKeyB": "b"}
        chosen = replace(WEB, given=WEB.given | given)
        variables = chosen.value(chosen.properties("MintSessionFunction")["Environment"]["Variables"])
        assert variables["VSV_KEY_ID"] == WEB.value({"Fn::GetAtt": [f"SigningKey{slot}", "Id"]})
        assert variables["VSV_SIGNING_SECRET"].endswith(f"SigningSecret{slot}")
        role = chosen.value(chosen.properties("MintSessionRole"))
        assert f"SigningSecret{slot}" in str(role)
        assert f"SigningSecret{other}" not in str(role)
        group = chosen.value(chosen.properties("SessionKeys")["KeyGroupConfig"])["Items"]
        assert group == [ref("SigningKeyA"), ref("SigningKeyB")]
