"""Network, storage and transfer as designed: what is reached from where, what is kept, what is copied how."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from vsv.identifiers import MAX_FILENAME

from tests.support.aws.cloudformation import Node, Template, nested_templates

BY_NAME = {str(template): template for template in nested_templates()}
NETWORK, STORAGE, IMPORTS = (BY_NAME[name] for name in ("network", "storage", "imports"))
NFS = ("tcp", 2049, 2049)
BUCKETS = STORAGE.resources("AWS::S3::Bucket")
# Which group may talk to which, by the port; the rest is refused.
FUNCTIONS, TRANSFER, FILES = "FunctionSecurityGroup", "TransferSecurityGroup", "FileSystemSecurityGroup"
EXISTING = {"ExistingVpcId": "vpc-1", "ExistingSubnetIds": "subnet-1,subnet-2"}

ALWAYS: Mapping[str, Any] = {"Fn::Equals": ["", ""]}


def ways(template: Template, direction: str) -> set[tuple[str, str, tuple[str, int, int]]]:
    """Return every rule of a direction that allows traffic: the group, the peer, protocol and ports."""
    return {
        (group, str(other), (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]))
        for group, rule in rules(template, direction)
        if (other := named_by(rule)) != "255.255.255.255/32"
    }


def rules(template: Template, direction: str) -> Iterator[tuple[str, Node]]:
    """Yield the rules within groups, and those that are resources of their own."""
    kinds = ("AWS::EC2::SecurityGroup", f"AWS::EC2::SecurityGroup{direction}")
    for name, one in template.resources(*kinds).items():
        if template.holds(one.get("Condition", ALWAYS)):
            properties = template.value(template.properties(name))
            group = properties["GroupId"].partition(".")[0] if "GroupId" in properties else name
            within = properties.get(f"SecurityGroup{direction}", [])
            yield from ((group, rule) for rule in ([properties] if "GroupId" in properties else within))


def named_by(rule: Node) -> str:
    keys = ("DestinationPrefixListId", "DestinationSecurityGroupId", "SourceSecurityGroupId", "CidrIp")
    return next(str(rule[key]).removesuffix(".GroupId") for key in keys if key in rule)


class TestNetwork:
    def test_private_subnets_are_in_two_zones_with_routes_to_s3_and_dynamodb(self) -> None:
        subnets = {name: NETWORK.properties(name) for name in NETWORK.resources("AWS::EC2::Subnet")}
        assert [one["AvailabilityZone"]["Fn::Select"][0] for one in subnets.values()] == [0, 1]
        associations = NETWORK.resources("AWS::EC2::SubnetRouteTableAssociation")
        routed = {NETWORK.properties(name)["SubnetId"]["Ref"] for name in associations}
        tables = {NETWORK.properties(name)["RouteTableId"]["Ref"] for name in associations}
        assert (routed, tables) == (subnets.keys(), {"PrivateRoutes"})
        endpoints = [NETWORK.properties(name) for name in NETWORK.resources("AWS::EC2::VPCEndpoint")]
        assert {one["VpcEndpointType"] for one in endpoints} == {"Gateway"}
        assert all(one["RouteTableIds"] == [{"Ref": "PrivateRoutes"}] for one in endpoints)
        services = {NETWORK.value(one["ServiceName"]).rpartition(".")[2] for one in endpoints}
        assert services == {"dynamodb", "s3"}

    def test_endpoints_allow_resources_of_this_account_alone(self) -> None:
        for name in NETWORK.resources("AWS::EC2::VPCEndpoint"):
            for statement in NETWORK.value(NETWORK.properties(name)["PolicyDocument"])["Statement"]:
                if "al2023-repos" not in statement["Resource"]:
                    assert statement["Condition"]["StringEquals"]["aws:PrincipalAccount"] == "123456789012"
                    assert "123456789012" in str([statement["Resource"], statement["Condition"]])
        s3 = NETWORK.properties("S3Endpoint")["PolicyDocument"]["Statement"][0]
        assert "aws:ResourceAccount" in s3["Condition"]["StringEquals"]  # buckets' ARNs name no account

    def test_security_groups_allow_nfs_from_functions_and_datasync_alone(self) -> None:
        assert ways(NETWORK, "Ingress") == {(FILES, FUNCTIONS, NFS), (FILES, TRANSFER, NFS)}
        assert ways(NETWORK, "Egress") == {
            (FUNCTIONS, FILES, NFS),
            (TRANSFER, FILES, NFS),
            (FUNCTIONS, "NetworkFacts.DynamoDBPrefixListId", ("tcp", 443, 443)),
            (FUNCTIONS, "NetworkFacts.S3PrefixListId", ("tcp", 443, 443)),
        }

    def test_existing_security_groups_are_referenced_and_get_no_rules(self) -> None:
        groups = {"ExistingFunctionSecurityGroupId": "sg-f", "ExistingFileSystemSecurityGroupId": "sg-s"}
        both = replace(NETWORK, given={**EXISTING, **groups})
        assert ways(both, "Egress") == {(TRANSFER, "sg-s", NFS)}
        assert ways(both, "Ingress") == set()
        functions = replace(NETWORK, given={**EXISTING, "ExistingFunctionSecurityGroupId": "sg-f"})
        assert ways(functions, "Ingress") == {(FILES, "sg-f", NFS), (FILES, TRANSFER, NFS)}
        files = replace(NETWORK, given={**EXISTING, "ExistingFileSystemSecurityGroupId": "sg-s"})
        assert (FUNCTIONS, "sg-s", NFS) in ways(files, "Egress")

    def test_existing_vpc_is_left_unchanged(self) -> None:
        theirs = replace(NETWORK, given=EXISTING)
        made = {r["Type"] for r in theirs.resources().values() if theirs.holds(r.get("Condition", ALWAYS))}
        changing = {"VPC", "Subnet", "RouteTable", "SubnetRouteTableAssociation", "VPCEndpoint", "FlowLog"}
        assert not made & {f"AWS::EC2::{kind}" for kind in changing}
        outputs = {name: theirs.value(one["Value"]) for name, one in theirs.outputs.items()}
        assert (outputs["VpcId"], outputs["SubnetIds"]) == ("vpc-1", "subnet-1,subnet-2")


class TestStorage:
    def test_file_system_is_encrypted_elastic_and_tiers_unread_files(self) -> None:
        system = STORAGE.properties("FileSystem")
        assert (system["Encrypted"], system["ThroughputMode"]) == (True, "elastic")
        assert {key for one in system["LifecyclePolicies"] for key in one} >= {"TransitionToIA"}

    def test_access_point_user_owns_its_root_folder(self) -> None:
        point = STORAGE.properties("AccessPoint")
        user, root = point["PosixUser"], point["RootDirectory"]
        assert int(user["Uid"]) > 0 < int(user["Gid"])
        owner = root["CreationInfo"]  # without it, a folder that is not there yet makes every mount fail
        assert (owner["OwnerUid"], owner["OwnerGid"], owner["Permissions"]) == (
            user["Uid"],
            user["Gid"],
            "0750",
        )
        assert root["Path"] != "/"

    def test_each_subnet_has_a_mount_target(self) -> None:
        targets = [STORAGE.properties(name) for name in STORAGE.resources("AWS::EFS::MountTarget")]
        assert [one["SubnetId"] for one in targets] == [
            {"Fn::Select": [n, {"Ref": "SubnetIds"}]} for n in (0, 1)
        ]
        assert all(one["SecurityGroups"] == [{"Ref": "FileSystemSecurityGroupId"}] for one in targets)

    @pytest.mark.parametrize("name", BUCKETS)
    def test_bucket_keeps_versions_and_expires_replaced_versions(self, name: str) -> None:
        bucket = STORAGE.properties(name)
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        rules = bucket["LifecycleConfiguration"]["Rules"]
        assert {rule["Status"] for rule in rules} == {"Enabled"}
        assert any("NoncurrentVersionExpiration" in rule for rule in rules)
        assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)

    def test_logs_and_imported_objects_alone_expire(self) -> None:
        expiring = {
            name: rule.get("TagFilters")
            for name in BUCKETS
            for rule in STORAGE.properties(name)["LifecycleConfiguration"]["Rules"]
            if "ExpirationInDays" in rule
        }
        assert expiring == {"DropInBucket": [{"Key": "vsv", "Value": "imported"}], "LogBucket": None}

    def test_each_stream_has_at_most_two_readers(self) -> None:
        """A third would be throttled, and the others with it ("DynamoDB Streams", AWS developer guide)."""
        mappings = [
            str(template.properties(name)["EventSourceArn"])
            for template in BY_NAME.values()
            for name in template.resources("AWS::Lambda::EventSourceMapping")
        ]
        assert {arn: mappings.count(arn) for arn in mappings if mappings.count(arn) > 2} == {}
        assert len(mappings) >= 5

    def test_drop_in_bucket_notifies_eventbridge_and_rule_matches_that_bucket_alone(self) -> None:
        told = STORAGE.properties("DropInBucket")["NotificationConfiguration"]
        assert told == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
        pattern = IMPORTS.value(IMPORTS.properties("ObjectDroppedRule")["EventPattern"])
        assert pattern["detail"]["bucket"] == {"name": ["drop-in"]}
        assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])

    def test_nightly_backups_go_to_locked_vault_by_role_without_restore_right(self) -> None:
        nightly, monthly = STORAGE.properties("BackupPlan")["BackupPlan"]["BackupPlanRule"]
        assert nightly["ScheduleExpression"] == "cron(0 1 * * ? *)"
        assert {str(rule["TargetBackupVault"]) for rule in (nightly, monthly)} == {"{'Ref': 'BackupVault'}"}
        locked = STORAGE.value(STORAGE.properties("BackupVault")["LockConfiguration"])
        assert locked == {"MinRetentionDays": STORAGE.value(nightly["Lifecycle"]["DeleteAfterDays"])}
        (policy,) = STORAGE.value(STORAGE.properties("BackupRole")["ManagedPolicyArns"])
        assert policy.endswith("service-role/AWSBackupServiceRolePolicyForBackup")

    def test_monthly_backup_starts_after_the_nightly_window(self) -> None:
        """One at a time is made of a file system ("Concurrent backups", Amazon EFS user guide)."""
        nightly, monthly = STORAGE.properties("BackupPlan")["BackupPlan"]["BackupPlanRule"]
        began, begins = (
            int(h) * 60 + int(m)
            for m, h in (re.findall(r"\d+", rule["ScheduleExpression"])[:2] for rule in (nightly, monthly))
        )
        assert began + nightly["StartWindowMinutes"] + nightly["CompletionWindowMinutes"] <= begins

    def test_existing_file_system_and_buckets_are_used_instead_of_new_resources(self) -> None:
        given = {
            "ExistingFileSystemId": "fs-1",
            "ExistingAccessPointArn": "arn:of:the:access:point",
            **{f"Existing{name}Bucket": f"their-{name.lower()}" for name in ("Archive", "Publish", "DropIn")},
        }
        theirs = replace(STORAGE, given=given)
        made = {name for name, r in theirs.resources().items() if theirs.holds(r.get("Condition", ALWAYS))}
        assert not [name for name in made if theirs.resources()[name]["Type"].startswith("AWS::EFS")]
        assert made & BUCKETS.keys() == {"WebBucket", "LogBucket"}
        outputs = {name: theirs.value(one["Value"]) for name, one in theirs.outputs.items()}
        assert outputs["FileSystemArn"].endswith(":file-system/fs-1")
        assert outputs["AccessPointArn"] == "arn:of:the:access:point"
        assert outputs["DropInBucketArn"] == "arn:aws:s3:::their-dropin"
        backed_up = theirs.value(theirs.properties("BackupSelection")["BackupSelection"]["Resources"])
        assert outputs["FileSystemArn"] in backed_up


class TestTransfer:
    TASK = IMPORTS.properties("TransferTask")

    def test_task_verifies_keeps_deleted_files_and_is_logged(self) -> None:
        options = self.TASK["Options"]
        assert options["VerifyMode"] == "ONLY_FILES_TRANSFERRED"
        assert options["PreserveDeletedFiles"] == "PRESERVE"
        assert options["LogLevel"] == "TRANSFER"
        assert self.TASK["CloudWatchLogGroupArn"]["Fn::GetAtt"][0] == "TransferLogs"
        resource = IMPORTS.content["Resources"]["TransferTask"]
        assert resource["DependsOn"] == "TransferLogsPolicy"  # without it nothing is written to the log

    def test_task_has_no_schedule_and_no_default_filter(self) -> None:
        assert not {"Schedule", "Includes", "Excludes"} & self.TASK.keys()

    def test_task_copies_from_smb_share_to_incoming_folder(self) -> None:
        source, target = (self.TASK[f"{end}LocationArn"]["Ref"] for end in ("Source", "Destination"))
        assert IMPORTS.resources()[source]["Type"] == "AWS::DataSync::LocationSMB"
        incoming = IMPORTS.properties(target)
        assert (incoming["Subdirectory"], incoming["InTransitEncryption"]) == ("/incoming", "TLS1_2")
        assert incoming["AccessPointArn"] == {"Ref": "AccessPointArn"}
        assert "Password" not in IMPORTS.properties(source)

    def test_datasync_roles_allow_writing_files_and_reading_the_secret_alone(self) -> None:
        allowed = [
            (statement["Action"], statement["Resource"])
            for role in ("IncomingRole", "ScannerSecretRole")
            for policy in IMPORTS.properties(role)["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        assert allowed == [
            (["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"], {"Ref": "FileSystemArn"}),
            (["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], {"Ref": "SmbSecretArn"}),
        ]

    def test_stack_without_agent_contains_no_datasync_resources(self) -> None:
        without = replace(IMPORTS, given={"AgentArns": ""})
        made = {r["Type"] for r in without.resources().values() if without.holds(r.get("Condition", ALWAYS))}
        assert not [kind for kind in made if kind.startswith("AWS::DataSync")]
        assert without.value(without.outputs["TransferTaskArn"]["Value"]) == ""

    def test_longest_file_name_fits_limits_of_datasync_and_efs(self) -> None:
        assert MAX_FILENAME <= 255  # a file's name in DataSync and on EFS ("AWS DataSync quotas"), in bytes
