// SPDX-License-Identifier: Apache-2.0
//! Libraries for clouds, clusters and databases, whose methods are too many for a table: their
//! names say what they do. Where a command line tool has the same words, it is that command.

use super::super::word::{Arg, Stream};
use super::super::{Harm, Kind, Target};
use super::calls::Given;
use super::machine::Machine;
use super::value::{Shape, Value};
use crate::list::is_any;

/// Roots of libraries that act on what lives elsewhere.
const ROOTS: &str = "boto3 aioboto3 botocore google googleapiclient azure kubernetes docker redis pymongo mongoengine \
    elasticsearch opensearchpy cassandra neo4j influxdb_client kafka pika consul hvac nomad openstack digitalocean \
    CloudFlare cloudflare hcloud linode_api4 heroku3 github gitlab jira stripe twilio slack_sdk pyVmomi libvirt \
    snowflake sqlalchemy peewee tortoise firebase_admin supabase AWS S3Client aws-sdk @aws-sdk mongodb mongoose ioredis \
    dockerode @kubernetes @octokit octokit firebase-admin Aws Kubeclient Octokit Sequel ActiveRecord";

/// Beginnings of methods that take away.
const TAKES: &str = "delete terminate destroy purge drop wipe flush truncate remove_all deregister revoke \
    begin_delete prune unlink_all obliterate";

/// Methods that take away whatever they are called on, wherever they come from.
const ALWAYS: &str = "drop_all drop_database dropDatabase flushall flushdb flushAll flushDb FLUSHALL drop_collection \
    delete_bucket delete_all destroy_all truncate_table drop_table dropTable dropAllTables \
    terminate_instances delete_db_instance delete_stack delete_table delete_cluster";

/// What is taken away again and again as a matter of course.
const ROUTINE: &str = "delete_message delete_message_batch deleteMessage delete_item delete_object deleteObject \
    delete_alarms delete_cookie drop_duplicates dropna drop_column flush flushInput delete_edge delete_one deleteOne \
    delete_event delete_tags remove_tags";

/// What a method of such a library does, or nothing when it is none.
pub(super) fn call(machine: &mut Machine, name: &str, given: &Given) -> Option<Value> {
    let (class, method) = name.rsplit_once('.')?;
    let on = given.this.as_ref().and_then(Value::as_object);
    if class.ends_with(".client") && class.contains("boto") {
        let service = on
            .and_then(|on| on.args.first())
            .map_or_else(Value::default, Clone::clone);
        return Some(aws(machine, &service, method, given));
    }
    if class.ends_with("Api") && method.starts_with("delete_") {
        return Some(kubernetes(machine, method, given));
    }
    if class == "sh" && machine.language.name == "python" {
        // The library `sh` has a function for every program.
        let words = std::iter::once(Arg::known(method)).chain(given.args.iter().map(Value::arg));
        return Some(machine.command(words.collect(), Stream::default()));
    }
    let root = class.split(['.', '/']).next().unwrap_or_default();
    let takes = TAKES
        .split_ascii_whitespace()
        .any(|start| method.starts_with(start));
    let elsewhere = is_any(ROOTS, root) && takes && !is_any(ROUTINE, method);
    // `Model.objects.all().delete()`
    let everything = method == "delete" && class.ends_with(".all");
    if !(elsewhere || everything || is_any(ALWAYS, method)) {
        return None;
    }
    let what = given.args.first().and_then(Value::known);
    let of = on.and_then(|on| on.args.last()).and_then(Value::known);
    let label = what.or(of).unwrap_or_else(|| class.to_owned());
    machine.effect(
        (Kind::Delete, Harm::High),
        Target::Resource(root.to_owned().into(), label),
        "code:delete-remote",
        "deletes what lives elsewhere and may not come back",
    );
    Some(Value::default())
}

/// `boto3.client('ec2').terminate_instances(InstanceIds=['i'])` is `aws ec2 terminate-instances
/// --instance-ids i`.
fn aws(machine: &mut Machine, service: &Value, method: &str, given: &Given) -> Value {
    let mut words = vec![Arg::known("aws"), service.arg()];
    let argument = |name: &str, at: usize| {
        let named = given.named.iter().find(|(key, _)| key == name);
        let value = named.map(|(_, value)| value).or(given.args.get(at));
        value.map_or_else(Value::default, Clone::clone)
    };
    let bucket = |name: &Value, key: &Value| {
        let mut arg = name.arg();
        arg.text = format!("s3://{}/{}", name.word(), key.word());
        arg
    };
    match method {
        "upload_file" | "upload_fileobj" => {
            words.push(Arg::known("cp"));
            words.push(argument("Filename", 0).arg());
            words.push(bucket(&argument("Bucket", 1), &argument("Key", 2)));
        }
        "download_file" => {
            words.push(Arg::known("cp"));
            words.push(bucket(&argument("Bucket", 0), &argument("Key", 1)));
            words.push(argument("Filename", 2).arg());
        }
        _ => {
            if service.known().is_some_and(|service| service == "s3") {
                words = ["aws", "s3api"].map(Arg::known).to_vec();
            }
            words.push(Arg::known(&method.replace('_', "-")));
            for (name, value) in &given.named {
                words.push(Arg::known(&format!("--{}", kebab(name))));
                match &value.shape {
                    Shape::List(parts) => words.extend(parts.iter().map(Value::arg)),
                    Shape::Truth(_) => {}
                    _ => words.push(value.arg()),
                }
            }
        }
    }
    machine.command(words, Stream::default())
}

/// `InstanceIds` as `instance-ids`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    let mut after_small = false;
    for letter in name.chars() {
        if letter.is_uppercase() && after_small {
            out.push('-');
        }
        after_small = letter.is_lowercase() || letter.is_ascii_digit();
        out.extend(letter.to_lowercase());
    }
    out
}

/// `delete_namespaced_pod(name, namespace)` is `kubectl delete pod name -n namespace`.
fn kubernetes(machine: &mut Machine, method: &str, given: &Given) -> Value {
    let what = method.trim_start_matches("delete_");
    let all = what.starts_with("collection_");
    let what = what.trim_start_matches("collection_");
    let namespaced = what.starts_with("namespaced_");
    let kind = what.trim_start_matches("namespaced_").replace('_', "");
    let mut words = ["kubectl", "delete", kind.as_str()]
        .map(Arg::known)
        .to_vec();
    let mut args = given.args.iter();
    if all {
        words.push(Arg::known("--all"));
    } else {
        let named = given.named("name");
        let name = named.or_else(|| args.next().cloned()).unwrap_or_default();
        words.push(name.arg());
    }
    if namespaced {
        let named = given.named("namespace");
        if let Some(namespace) = named.or_else(|| args.next().cloned()) {
            words.push(Arg::known("-n"));
            words.push(namespace.arg());
        }
    }
    machine.command(words, Stream::default())
}
